import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Record, type Scope } from '../expression/index.js';
import { Source, type Value } from '../value/value.js';

/**
 * What a template is told of itself, as Ansible's template module and lookup do (`ansible_managed`, `template_path` and
 * their like). `ansible_managed` may be a variable; by default it is Ansible's text, so that files stay as they are.
 * @param dest where the text goes, if anywhere
 */
export function templateVariables(path: string, dest: string | undefined, scope: Scope): Map<Value, Value> {
  const fullPath = resolve(path);
  const { uid, mtimeMs } = statSync(path);
  const origin = { file: path, line: 1, column: 1 };
  const variables = new Map<Value, Value>([
    ['template_host', hostname()],
    ['template_path', path],
    ['template_fullpath', fullPath],
    ['template_destpath', dest ?? null],
    ['template_uid', owner(uid)],
    ['template_mtime', new Source(`{{ '%Y-%m-%d %H:%M:%S' | strftime(${mtimeMs / 1000}) | to_datetime }}`, origin)],
    ['template_run_date', new Source('{{ now() }}', origin)],
  ]);
  if (scope.get('ansible_managed', new Record()) === undefined) variables.set('ansible_managed', 'Ansible managed');
  return variables;
}

const owners = new Map<number, Value>();

/** The name of a user of the controller, or the number where there is none. */
function owner(uid: number): Value {
  let name = owners.get(uid);
  if (name === undefined) {
    name = new RegExp(`^([^:\\n]+):[^:\\n]*:${uid}:`, 'm').exec(readFileSync('/etc/passwd', 'utf8'))?.[1] ?? uid;
    owners.set(uid, name);
  }
  return name;
}
