import { didYouMean } from '../value/errors.js';
import { isDict, Source, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin, originOf } from '../yaml/index.js';
import { complain, type LoadContext } from './context.js';

/** What a keyword takes. Text in {{ }} passes everywhere but under `word` and `entries`. */
type Kind = 'bool' | 'number' | 'text' | 'texts' | 'word' | 'dict' | 'dicts' | 'entries' | 'conditions' | 'any';

type Keywords = { readonly [keyword: string]: Kind };

const COMMON: Keywords = {
  name: 'text', vars: 'dict', environment: 'dicts', tags: 'texts', become: 'bool', become_user: 'text', become_method: 'text',
  become_flags: 'text', become_exe: 'text', remote_user: 'text', connection: 'text', port: 'number', ignore_errors: 'bool', ignore_unreachable: 'bool',
  any_errors_fatal: 'bool', no_log: 'bool', check_mode: 'bool', diff: 'bool', run_once: 'bool', throttle: 'number', timeout: 'number',
  collections: 'texts', module_defaults: 'dicts',
};
/** What blocks, roles and tasks share. */
const INSIDE: Keywords = { ...COMMON, when: 'conditions', delegate_to: 'text', delegate_facts: 'bool' };

export const PLAY: Keywords = {
  ...COMMON, hosts: 'texts', gather_facts: 'bool', gather_subset: 'texts', gather_timeout: 'number',
  fact_path: 'text', order: 'text', vars_prompt: 'any', vars_files: 'any', strategy: 'text', serial: 'any',
  max_fail_percentage: 'number', force_handlers: 'bool', validate_argspec: 'any', pre_tasks: 'entries', roles: 'entries', tasks: 'entries',
  post_tasks: 'entries', handlers: 'entries',
  // The name remote_user had before tasks could have one.
  user: 'text',
};
export const IMPORT_PLAYBOOK: Keywords = { import_playbook: 'text', name: 'text', vars: 'dict', when: 'conditions', tags: 'texts' };
export const BLOCK: Keywords = { ...INSIDE, notify: 'texts', confirm: 'any', block: 'entries', rescue: 'entries', always: 'entries' };
export const TASK: Keywords = {
  ...INSIDE, action: 'any', local_action: 'any', args: 'any', loop: 'any', loop_control: 'dict', register: 'word', until: 'conditions',
  retries: 'number', delay: 'number', async: 'number', poll: 'number', changed_when: 'conditions', failed_when: 'conditions', notify: 'texts',
};
export const HANDLER: Keywords = { ...TASK, listen: 'texts' };
/** What `apply` gives to included tasks. */
export const APPLY: Keywords = { ...INSIDE, notify: 'texts' };
export const ROLE: Keywords = { ...INSIDE, role: 'text' };
export const PROMPT: Keywords = {
  name: 'word', prompt: 'text', default: 'any', private: 'bool', confirm: 'bool', encrypt: 'text', salt: 'text', salt_size: 'number', unsafe: 'bool',
};
export const LOOP_CONTROL: Keywords = {
  loop_var: 'text', index_var: 'text', label: 'any', pause: 'number', extended: 'bool', extended_allitems: 'bool',
  break_when: 'conditions',
};

/** Ansible's keywords that are understood but not carried out, and what to do instead. */
export const NOT_YET: { [keyword: string]: string } = {
  debugger: 'leave it out, and look at the run with -vvv',
};

/** A keyword's value; undefined where it is not given or null. */
export function given(dict: Dict, key: string): Value | undefined {
  return dict.get(key) ?? undefined;
}

/** Where the value of a keyword stands, or the keyword, or at least the file. */
export function place(container: Dict | Value[], key: Value, fallback: Origin): Origin {
  return originOf(container, key) ?? fallback;
}

export function keyPlace(dict: Dict, key: Value, fallback: Origin): Origin {
  return keyOrigin(dict, key) ?? fallback;
}

/** Whether a key is a keyword, of Ansible if not ours. */
export function isKeyword(key: string, keywords: Keywords): boolean {
  return Object.hasOwn(keywords, key) || Object.hasOwn(NOT_YET, key);
}

/**
 * Complains about unknown keywords and about literal values of the wrong type.
 * @param what for messages: `a play`, `a task`
 * @param open keys that are allowed besides, e.g. the module of a task
 */
export function checkKeywords(dict: Dict, keywords: Keywords, what: string, at: Origin, ctx: LoadContext, open?: (key: string) => boolean): void {
  for (const [key, value] of dict) {
    const name = String(key);
    if (Object.hasOwn(keywords, name)) {
      const wrong = value === null ? undefined : mismatch(value, keywords[name]!);
      if (wrong !== undefined) complain(ctx, `"${name}" of ${what} must be ${wrong}, not ${shown(value)}`, place(dict, key, at));
    } else if (Object.hasOwn(NOT_YET, name)) {
      complain(ctx, `"${name}" is not supported`, keyPlace(dict, key, at), NOT_YET[name]);
    } else if (!open?.(name)) {
      complain(ctx, `${what} has no keyword "${name}"`, keyPlace(dict, key, at), didYouMean(name, Object.keys(keywords)) ?? elsewhere(name));
    }
  }
}

/** Where a keyword would be right, for one that stands in the wrong place. */
function elsewhere(name: string): string | undefined {
  const places: [string, Keywords][] = [['a task', TASK], ['a handler', HANDLER], ['a block', BLOCK], ['a play', PLAY], ['loop_control', LOOP_CONTROL]];
  const right = places.find(([, keywords]) => Object.hasOwn(keywords, name));
  return right && `it is a keyword of ${right[0]}`;
}

/** What a literal should have been; undefined where it is fit. */
function mismatch(value: Value, kind: Kind): string | undefined {
  const scalar = value === null || typeof value !== 'object';
  if (kind === 'word') return typeof value === 'string' ? undefined : 'a plain word';
  if (value instanceof Source) return undefined;
  switch (kind) {
    case 'bool':
      return typeof value === 'boolean' || (typeof value === 'string' && /^(yes|no|true|false|on|off|1|0)$/i.test(value)) || value === 0 || value === 1
        ? undefined : 'yes or no';
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' || (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
        || (!scalar && !Array.isArray(value) && !isDict(value)) ? undefined : 'a number';
    case 'text':
      return Array.isArray(value) || isDict(value) ? 'text' : undefined;
    case 'texts':
      return isDict(value) || (Array.isArray(value) && value.some((each) => Array.isArray(each) || isDict(each))) ? 'text or a list of texts' : undefined;
    case 'dict':
      return isDict(value) ? undefined : 'a dict';
    case 'dicts':
      return isDict(value) || (Array.isArray(value) && value.every((each) => isDict(each) || each instanceof Source)) ? undefined : 'a dict or a list of dicts';
    case 'conditions':
      return isDict(value) || (Array.isArray(value) && value.some((each) => Array.isArray(each) || isDict(each))) ? 'a condition or a list of conditions' : undefined;
    // Lists of tasks and roles are looked at where they are loaded.
    case 'entries':
    case 'any':
      return undefined;
  }
}

export function shown(value: Value): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isDict(value)) return 'a dict';
  if (value instanceof Source) return `"${value.shown}"`;
  return typeof value === 'string' ? `"${value}"` : String(value);
}

/** Text or list of texts -> list; members keep their {{ }}. */
export function asList(value: Value | undefined): Value[] {
  return value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
}
