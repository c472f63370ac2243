/** What modules that follow Ansible's JSON conventions are told, and what they answer. */
import { z } from 'zod';
import { ModuleError, type Controller, type Output, type Returns } from '../modules/module.js';

/** Parameters of a module whose own description is not known here. */
export const anyParams = z.looseObject({});

/** Names Ansible itself takes for passwords where a parameter is not said to be one. */
const SECRET = /pass(?!ive|enger|through)|secret|token|credential|private_?key$|api_?key|access_?key/i;
const NOT_SECRET = /^(?:update|no|generate|has|use)_|_(?:file|path|expire|expiry|type|length|policy|store)$/i;

/** Whether a parameter is taken for a secret by its name. */
export function soundsSecret(name: string): boolean {
  return SECRET.test(name) && !NOT_SECRET.test(name);
}

/** JSON has one kind of number. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/**
 * The arguments with what Ansible adds of its own (`_ansible_*`, as `lib/ansible/module_utils/common/parameters.py` names them).
 * @param check a plan: the module must change nothing
 * @param version of the ansible-core it takes itself to be run by
 */
export function argumentsFor(args: object, name: string, controller: Controller, check: boolean, version = '2.19.0'): { [key: string]: unknown } {
  const { diff, verbosity, hides } = controller;
  return {
    ...args,
    _ansible_check_mode: check,
    _ansible_no_log: hides,
    _ansible_debug: false,
    _ansible_diff: diff,
    _ansible_verbosity: verbosity,
    _ansible_version: version,
    _ansible_module_name: name,
    _ansible_syslog_facility: 'LOG_USER',
    _ansible_selinux_special_fs: ['fuse', 'nfs', 'vboxsf', 'ramfs', '9p', 'vfat'],
    _ansible_string_conversion_action: 'warn',
    _ansible_socket: null,
    _ansible_shell_executable: '/bin/sh',
    _ansible_keep_remote_files: false,
    _ansible_tmpdir: null,
    _ansible_remote_tmp: '~/.ansible/tmp',
    _ansible_ignore_unknown_opts: false,
    _ansible_target_log_info: null,
    _ansible_tracebacks_for: [],
  };
}

export function json(value: unknown): string {
  return JSON.stringify(value, plain);
}

/**
 * The result a module printed: a JSON object, perhaps behind lines that something else printed.
 * @throws ModuleError where it failed, or printed no such thing
 */
export function answerOf(name: string, output: Output): Returns {
  const { data, behind } = objectIn(output.stdout);
  if (data === undefined) {
    const last = output.stderr.trim().split('\n').at(-1);
    throw new ModuleError(`${name} gave no result (a JSON object on its standard output)${last ? `: ${last}` : ''}`, {
      rc: output.rc, module_stdout: output.stdout, module_stderr: output.stderr, stderr: output.stderr, changed: false,
    });
  }
  const returns = Object.fromEntries(Object.entries(data).filter(([key]) => !key.startsWith('_ansible_')).map(([key, value]) => [key, summaries(key, value)]));
  const { failed, rc, msg, exception } = returns;
  const bad = failed === undefined ? typeof rc === 'number' && rc !== 0 : truth(failed);
  returns['changed'] = truth(returns['changed']);
  if (behind !== '') returns['warnings'] = [...(Array.isArray(returns['warnings']) ? (returns['warnings'] as unknown[]) : []), `${name}: trailing junk after module output: ${behind}`];
  if (!bad) return { ...returns, failed: false };
  const trace = typeof exception === 'string' ? { stderr: exception } : {};
  throw new ModuleError(typeof msg === 'string' && msg !== '' ? msg : `${name} failed`, { ...trace, ...returns });
}

/** Since 2.19 what is said besides a result comes as a summary of an event; here it is what it was before. */
function summaries(key: string, value: unknown): unknown {
  const eventOf = (each: unknown): { [part: string]: unknown } | undefined => (typeof each === 'object' && each !== null && '__ansible_type' in each ? (each as unknown as { event: { [part: string]: unknown } }).event : undefined);
  if (key === 'exception') return eventOf(value) ? eventOf(value)!['formatted_traceback'] : value;
  if (!Array.isArray(value)) return value;
  if (key === 'warnings') return value.map((each: unknown) => eventOf(each)?.['msg'] ?? each);
  if (key !== 'deprecations') return value;
  return value.map((each: unknown) => {
    const event = eventOf(each);
    if (!event) return each;
    const { version, date, deprecator } = each as { version?: unknown; date?: unknown; deprecator?: { resolved_name?: unknown } | null };
    return { msg: event['msg'], version: version ?? null, date: date ?? null, collection_name: deprecator?.resolved_name ?? null };
  });
}

/** Old modules answer `"yes"`. */
function truth(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === 'string' && /^(yes|true|on|1|y|t)$/i.test(value));
}

/** The object, and what stands behind it. */
function objectIn(text: string): { data: { [key: string]: unknown } | undefined; behind: string } {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.trimStart().startsWith('{'));
  const last = lines.findLastIndex((line) => line.trimEnd().endsWith('}'));
  const nothing = { data: undefined, behind: '' };
  if (first < 0 || last < first) return nothing;
  try {
    const data: unknown = JSON.parse(lines.slice(first, last + 1).join('\n'));
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? { data: data as { [key: string]: unknown }, behind: lines.slice(last + 1).join('\n').trim() } : nothing;
  } catch {
    return nothing;
  }
}
