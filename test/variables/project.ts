import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { noServices, Record, type Services } from '../../src/expression/index.js';
import { loadInventory } from '../../src/inventory/index.js';
import type { Play, Role, Task } from '../../src/playbook/types.js';
import { Variables, type Context } from '../../src/variables/index.js';
import { toPlain, type Dict, type Value } from '../../src/value/value.js';
import { parseYaml } from '../../src/yaml/index.js';

export const services: Services = noServices('.');

/** A folder with these files, gone after the test. */
export function folder(t: ExecutionContext, files: { [path: string]: string }): string {
  const root = mkdtempSync(join(tmpdir(), 'muster-variables-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** Variables of a project whose inventory is the folder or file `inventory`. */
export async function project(t: ExecutionContext, files: { [path: string]: string }, extraVars: Dict = new Map(), source = 'inventory'): Promise<{ root: string; variables: Variables }> {
  const root = folder(t, files);
  const inventory = await loadInventory([join(root, source)]);
  const variables = new Variables(inventory, { extraVars, playbookDirs: [root] });
  await variables.load();
  return { root, variables };
}

/** Variables of one host `h`, written as YAML. */
export async function hostVars(t: ExecutionContext, yaml: string): Promise<Variables> {
  const { variables } = await project(t, { 'inventory/hosts.yml': 'all: {hosts: {h: }}\n', 'inventory/host_vars/h.yml': yaml });
  return variables;
}

export function read(variables: Variables, name: string, context: Partial<Context> = {}, record = new Record()): unknown {
  const value = variables.scope({ host: 'h', services, ...context }).get(name, record);
  return value === undefined ? undefined : toPlain(value, true);
}

export function vars(yaml: string, file = 'vars.yml'): Dict {
  return parseYaml(yaml, file) as Dict;
}

/** A role, task or play with the given parts; the rest is never looked at by variables. */
export function role(parts: Partial<Role>): Role {
  return { name: 'r', collection: undefined, shortName: 'r', path: 'roles/r', defaults: new Map(), vars: new Map(), params: new Map(), dependencies: [], parent: undefined, handlers: [], allowDuplicates: false, public: true, ...parts };
}
export function task(parts: Partial<Task>): Task {
  return { vars: [], role: undefined, ...parts } as Task;
}
export function play(parts: Partial<Play>): Play {
  return { origin: { file: 'site.yml', line: 1, column: 3 }, baseDir: '.', name: undefined, vars: new Map(), varsFiles: [] as Value[], roles: [], ...parts } as Play;
}
