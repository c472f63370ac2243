import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { OMIT, Record } from '../expression/index.js';
import { groupsOf, hostsOf } from '../inventory/index.js';
import type { Role } from '../playbook/types.js';
import type { Dict, Value } from '../value/value.js';
import { LazyDict } from './lazy.js';
import { ancestry } from './roles.js';
import type { VariableScope } from './scope.js';

/** The release whose language is spoken, for playbooks that ask. */
const version: Dict = new Map<Value, Value>([
  ['full', '2.19.0'],
  ['major', 2],
  ['minor', 19],
  ['revision', 0],
  ['string', '2.19.0'],
]);

/**
 * Variables that Ansible sets itself (docs.ansible.com, "Special variables") and nothing can override.
 * One that has nothing to say where it is read (`role_name` outside of roles) is undefined.
 */
export const MAGIC: ReadonlyMap<string, (scope: VariableScope, record: Record) => Value | undefined> = new Map<
  string,
  (scope: VariableScope, record: Record) => Value | undefined
>([
  ['inventory_hostname', ({ context }) => context.host],
  ['inventory_hostname_short', ({ context }) => context.host.split('.')[0]!],
  ['inventory_file', (scope) => mapped(hostOf(scope)?.source, absolute)],
  ['inventory_dir', (scope) => mapped(hostOf(scope)?.source, (file) => dirname(absolute(file)))],
  ['ansible_inventory_sources', ({ variables }) => variables.inventory.sources.map(absolute)],
  ['groups', ({ variables: { inventory } }) => new LazyDict(inventory.groups, (name) => [...hostsOf(inventory, name as string)])],
  ['group_names', ({ variables, context }) => groupsOf(variables.inventory, context.host).map((group) => group.name).filter((name) => name !== 'all').sort()],
  ['hostvars', (scope, record) => scope.hostvars(record)],
  ['vars', (scope, record) => scope.asDict(record)],
  ['ansible_delegated_vars', (scope, record) => scope.delegated(record)],
  ['ansible_facts', (scope) => scope.facts()],
  ['playbook_dir', ({ context }) => mapped(context.playbookDir, absolute)],
  ['role_path', ({ context }) => mapped(context.task?.role?.path, absolute)],
  ['role_name', ({ context }) => context.task?.role?.shortName],
  ['ansible_role_name', ({ context }) => context.task?.role?.name],
  // None, and not undefined, in a role of no collection.
  ['ansible_collection_name', ({ context }) => context.task?.role && (context.task.role.collection ?? null)],
  ['ansible_parent_role_names', ({ context }) => some(parents(context).map((role) => role.name))],
  ['ansible_parent_role_paths', ({ context }) => some(parents(context).map((role) => absolute(role.path)))],
  ['ansible_play_role_names', ({ context }) => listedRoles(context)],
  ['role_names', ({ context }) => listedRoles(context)],
  ['ansible_dependent_role_names', ({ context }) => context.play && [...new Set(context.play.roles.filter(isDependency).map((role) => role.name))]],
  ['ansible_role_names', ({ context }) => context.play && [...new Set(context.play.roles.map((role) => role.name))]],
  ['ansible_search_path', ({ context }) => searched(context)],
  ['ansible_play_name', (scope, record) => mapped(scope.context.play?.name ?? scope.context.play?.hosts, (name) => scope.evaluate(name, 'ansible_play_name', record))],
  ['ansible_play_hosts', ({ context }) => listed(context.playHosts)],
  ['ansible_play_hosts_all', ({ context }) => listed(context.playHostsAll)],
  ['ansible_play_batch', ({ context }) => listed(context.batch)],
  ['play_hosts', ({ context }) => listed(context.batch)],
  ['ansible_check_mode', ({ context }) => context.options?.check ?? false],
  ['ansible_diff_mode', ({ context }) => context.options?.diff ?? false],
  ['ansible_forks', ({ context }) => context.options?.forks],
  ['ansible_verbosity', ({ context }) => context.options?.verbosity],
  ['ansible_limit', ({ context }) => context.options?.limit],
  ['ansible_run_tags', ({ context }) => (context.options?.tags?.length ? [...context.options.tags] : ['all'])],
  ['ansible_skip_tags', ({ context }) => [...(context.options?.skipTags ?? [])]],
  ['ansible_version', () => version],
  ['ansible_playbook_python', () => controllerPython()],
  ['omit', () => OMIT],
]);

/** Whether a magic variable has a value in this scope. */
export function hasMagic(scope: VariableScope, name: string): boolean {
  if (name === 'ansible_delegated_vars') return scope.context.task?.delegateTo !== undefined;
  if (name === 'ansible_play_name') return scope.context.play?.name !== undefined;
  return MAGIC.get(name)?.(scope, new Record()) !== undefined;
}

/** Those that have a value in this scope, save the ones that hold all others. */
export function* magicNames(scope: VariableScope): Iterable<string> {
  for (const name of MAGIC.keys()) if (name !== 'vars' && name !== 'hostvars' && name !== 'omit' && hasMagic(scope, name)) yield name;
}

/** Ansible runs by a Python, which plays on localhost name as their interpreter: the controller's own. Undefined where it has none. */
function controllerPython(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(':').filter(isAbsolute);
  return ['python3', 'python'].flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

function hostOf({ variables, context }: VariableScope) {
  return variables.inventory.hosts.get(context.host);
}

/** Whether others depend on the role: it is not listed itself. */
const isDependency = (role: Role): boolean => role.parent?.dependencies.includes(role) === true;

function listedRoles({ play }: VariableScope['context']): Value | undefined {
  return play?.roles.filter((role) => !isDependency(role)).map((role) => role.name);
}

/** Folders where a task's files are looked up: of its roles, of its own file, of the playbook. */
function searched({ task, playbookDir }: VariableScope['context']): Value | undefined {
  const folders = [...ancestry(task?.role)].map((role) => role.path);
  return [...new Set([...folders, task?.fileDir, playbookDir].filter((folder) => folder !== undefined).map(absolute))];
}

function parents({ task }: VariableScope['context']) {
  return [...ancestry(task?.role?.parent)];
}

/** Folders and files are absolute, as in Ansible: they may be used where another folder is the current one. */
function absolute(path: string): string {
  return resolve(path);
}

/** A role that no other brought has no parents at all: the variable is undefined. */
function some(names: Value[]): Value | undefined {
  return names.length > 0 ? names : undefined;
}

function listed(hosts: readonly string[] | undefined): Value | undefined {
  return hosts && [...hosts];
}

function mapped<T, U>(value: T | undefined, change: (value: T) => U): U | undefined {
  return value === undefined ? undefined : change(value);
}
