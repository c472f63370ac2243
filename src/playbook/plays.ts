import { dirname, resolve } from 'node:path';
import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { originOf } from '../yaml/index.js';
import { loadSpec } from './actions.js';
import { playValidation } from './argument_spec.js';
import { complain, display, isFile, parseText, readYaml, type LoadContext } from './context.js';
import { withDefaults } from './defaults.js';
import { collectionPlaybook, pluginsIn } from './own.js';
import { conditions, inherit, nothingInherited, tagsOf, varsOf } from './inherit.js';
import { asList, checkKeywords, given, IMPORT_PLAYBOOK, keyPlace, place, PLAY, PROMPT, shown } from './keywords.js';
import { loadRoles } from './roles.js';
import { staticText } from './static.js';
import { loadEntries, type Frame } from './tasks.js';
import type { Condition, Entry, Play, Playbook, Prompt, Tag, Task } from './types.js';

/** What `import_playbook` gives the plays it brings. */
interface Imported {
  vars: Dict;
  when: Condition[];
  tags: Tag[];
  /** Ids and files on the way. */
  via: string;
  files: readonly string[];
}

/**
 * Reads a playbook with everything it brings statically: roles, imported files. What is wrong goes to
 * `ctx.problems`; what can be loaded in spite of it is.
 */
export async function loadPlaybook(path: string, ctx: LoadContext): Promise<Playbook> {
  const full = resolve(path);
  return { path: full, plays: await loadPlays(await readYaml(full, ctx), full, ctx, NOT_IMPORTED) };
}

/**
 * The same for a text, as if it stood in a file of the working directory (`muster exec`).
 * @param file as shown in messages
 */
export async function loadPlaybookText(text: string, file: string, ctx: LoadContext): Promise<Playbook> {
  const path = resolve(file);
  return { path, plays: await loadPlays(parseText(text, file, ctx), path, ctx, NOT_IMPORTED) };
}

const NOT_IMPORTED: Imported = { vars: new Map(), when: [], tags: [], via: '', files: [] };

async function loadPlays(list: Value, path: string, ctx: LoadContext, imported: Imported): Promise<Play[]> {
  const top = { file: display(path), line: 1, column: 1 };
  for (const folder of new Set([ctx.projectDir, dirname(path)])) await pluginsIn(folder, ctx);
  if (list === null) return [];
  if (!Array.isArray(list)) {
    complain(ctx, `a playbook is a list of plays, not ${shown(list)}`, top, 'begin each play with "- hosts:"');
    return [];
  }
  const plays: Play[] = [];
  for (const [i, member] of list.entries()) {
    const at = place(list, i, top);
    if (!isDict(member)) complain(ctx, `a play must be a dict, not ${shown(member)}`, at, 'begin it with "- hosts:"');
    else if (member.has('import_playbook')) plays.push(...(await importPlaybook(member, at, path, ctx, imported)));
    else plays.push(await loadPlay(member, at, path, ctx, imported));
  }
  return plays;
}

async function importPlaybook(dict: Dict, at: Origin, path: string, ctx: LoadContext, outer: Imported): Promise<Play[]> {
  checkKeywords(dict, IMPORT_PLAYBOOK, 'import_playbook', at, ctx);
  const origin = originOf(dict, 'import_playbook') ?? at;
  const vars = varsOf(dict, at, ctx) ?? new Map();
  const name = staticText(dict.get('import_playbook')!, origin, 'the file of import_playbook', ctx, () => new Map<Value, Value>([...vars, ...outer.vars, ['playbook_dir', dirname(path)]]));
  if (name === undefined) return [];
  const file = collectionPlaybook(name, [dirname(path), ctx.projectDir]) ?? resolve(dirname(path), name);
  if (file === path || outer.files.includes(file)) {
    complain(ctx, `${display(file)} imports itself`, origin);
    return [];
  }
  if (!(await isFile(file))) {
    complain(ctx, `there is no playbook "${name}"`, origin, `looked for ${display(file)}`);
    return [];
  }
  return loadPlays(await readYaml(file, ctx, origin), file, ctx, {
    // An outer import wins over an inner one, and both over the plays.
    vars: layered(vars, outer.vars),
    when: [...outer.when, ...conditions(dict, 'when', at, ctx)],
    tags: [...outer.tags, ...tagsOf(dict, at, ctx)],
    via: `${at.file}:${at.line}:${at.column}${outer.via === '' ? '' : ` < ${outer.via}`}`,
    files: [...outer.files, path],
  });
}

/** The same dict where nothing is laid over it, so that its places stay known. */
function layered(below: Dict, above: Dict): Dict {
  return above.size === 0 ? below : below.size === 0 ? above : new Map([...below, ...above]);
}

async function loadPlay(dict: Dict, at: Origin, path: string, ctx: LoadContext, imported: Imported): Promise<Play> {
  checkKeywords(dict, PLAY, 'a play', at, ctx);
  const vars = layered(varsOf(dict, at, ctx) ?? new Map(), imported.vars);
  if (dict.has('user') && dict.has('remote_user')) complain(ctx, '"user" and "remote_user" of a play are one', keyPlace(dict, 'user', at), 'leave "user" out');
  const own = new Map([...dict].filter(([key]) => key !== 'vars' && key !== 'tags').map(([key, value]) => [key === 'user' ? 'remote_user' : key, value]));
  const keywords = inherit({ ...nothingInherited(), anyErrorsFatal: ctx.playDefaults?.anyErrorsFatal, noLog: ctx.playDefaults?.noLog, when: imported.when, tags: [...imported.tags, ...tagsOf(dict, at, ctx)] }, own, at, ctx);
  const frame: Frame = {
    inherit: keywords, role: undefined, fileDir: dirname(path), baseDir: dirname(path), via: imported.via, files: [path],
    handlers: false, play: { vars, roles: [], handlers: [], used: [] }, ctx,
  };
  const entries = (key: string): Promise<Entry[]> => loadEntries(given(dict, key), place(dict, key, at), frame);
  const hosts = given(dict, 'hosts');
  if (hosts === undefined || (Array.isArray(hosts) && hosts.length === 0) || hosts === '') {
    complain(ctx, 'a play needs "hosts"', dict.has('hosts') ? keyPlace(dict, 'hosts', at) : at, 'name a group, hosts or "all"');
  }
  const checked = await playValidation(dict, at, path, ctx);
  const validation = checked ? await loadEntries([checked.task], place(dict, 'validate_argspec', at), frame) : [];
  const before = await entries('pre_tasks');
  const imports = frame.play.handlers.length;
  const roles = await loadRoles(given(dict, 'roles'), place(dict, 'roles', at), frame);
  // As Ansible has them: those of roles, the play's own, those of imports. Of one name the last one counts.
  const ofRoles = frame.play.handlers.splice(imports);
  const sections: Play['sections'] = [
    { name: 'pre_tasks', entries: [...validation, ...before] },
    { name: 'roles', entries: roles },
    { name: 'tasks', entries: await entries('tasks') },
    { name: 'post_tasks', entries: await entries('post_tasks') },
  ];
  const handlers = (await loadEntries(given(dict, 'handlers'), place(dict, 'handlers', at), { ...frame, handlers: true })) as Task[];
  return {
    origin: at, baseDir: dirname(path), name: given(dict, 'name'), hosts: hosts ?? 'all',
    gatherFacts: given(dict, 'gather_facts') ?? ctx.playDefaults?.gatherFacts, gather: withDefaults('setup', 'setup', await loadSpec('setup'), keywords.moduleDefaults, gatherOf(dict), new Map(), ctx), order: orderOf(dict, at, ctx),
    vars, varsPrompt: promptsOf(dict, at, ctx), varsFiles: asList(given(dict, 'vars_files')),
    strategy: strategyOf(dict, at, ctx, vars), serial: given(dict, 'serial'), maxFailPercentage: given(dict, 'max_fail_percentage'),
    anyErrorsFatal: given(dict, 'any_errors_fatal'), forceHandlers: given(dict, 'force_handlers'),
    ignoreUnreachable: given(dict, 'ignore_unreachable'),
    sections, handlers: [...ofRoles, ...handlers, ...frame.play.handlers], roles: frame.play.roles, keywords, tags: keywords.tags,
  };
}

/** Of the older form, a dict of names and questions, each is asked without showing what is typed. */
function promptsOf(dict: Dict, at: Origin, ctx: LoadContext): Prompt[] {
  const value = given(dict, 'vars_prompt');
  if (value === undefined) return [];
  const list: Value[] = isDict(value) ? [...value].map(([name, prompt]) => new Map([['name', name], ['prompt', prompt]])) : asList(value);
  return list.flatMap((entry, i) => {
    const origin = place(isDict(value) ? value : list, isDict(value) ? [...value.keys()][i]! : i, place(dict, 'vars_prompt', at));
    if (!isDict(entry)) {
      complain(ctx, `an entry of "vars_prompt" must be a dict, not ${shown(entry)}`, origin, 'begin it with "- name:"');
      return [];
    }
    checkKeywords(entry, PROMPT, 'an entry of vars_prompt', origin, ctx);
    const name = given(entry, 'name');
    if (typeof name === 'string' && /^[A-Za-z_]\w*$/.test(name)) return [{ name, options: entry, origin }];
    complain(ctx, 'an entry of "vars_prompt" needs the name of a variable', origin, 'write "name:" with letters, digits and _');
    return [];
  });
}

const STRATEGIES = ['linear', 'free', 'host_pinned'] as const;

function strategyOf(dict: Dict, at: Origin, ctx: LoadContext, vars: Dict): Play['strategy'] {
  const value = given(dict, 'strategy');
  if (value === undefined) return ctx.playDefaults?.strategy ?? 'linear';
  const text = staticText(value, place(dict, 'strategy', at), 'the strategy', ctx, () => vars);
  if (text === undefined) return 'linear';
  const name = text.replace(/^ansible\.builtin\./, '');
  const known = STRATEGIES.find((each) => each === name);
  if (known === undefined) complain(ctx, `there is no strategy ${shown(value)}`, place(dict, 'strategy', at), `there are ${STRATEGIES.join(', ')}`);
  return known ?? 'linear';
}

const GATHER = ['gather_subset', 'gather_timeout', 'fact_path'] as const;

function gatherOf(dict: Dict): Dict {
  return new Map(GATHER.flatMap((key): [string, Value][] => (given(dict, key) === undefined ? [] : [[key, given(dict, key)!]])));
}

/** The orders hosts can run in, by Ansible's names. */
export const ORDERS = ['inventory', 'sorted', 'reverse_sorted', 'reverse_inventory', 'shuffle'] as const;

function orderOf(dict: Dict, at: Origin, ctx: LoadContext): Value | undefined {
  const value = given(dict, 'order');
  if (typeof value === 'string' && !ORDERS.some((order) => order === value)) complain(ctx, `there is no order ${shown(value)}`, place(dict, 'order', at), `there are ${ORDERS.join(', ')}`);
  return value;
}
