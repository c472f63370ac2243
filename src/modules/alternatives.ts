import { z } from 'zod';
import { sh } from '../shell/sh.js';
import { defineModule, ModuleError, type Change } from './module.js';
import { choice, int, params, path, str } from './params.js';

const subcommand = params({
  name: str('Name of the group that follows.'),
  path: path('What its link leads to.'),
  link: path('The link.'),
});

const schema = params({
  name: str('The group: editor, java.'),
  path: path('The program (or file) that can stand for the name.').optional(),
  family: str('The family it is of, where `alternatives` is that of Red Hat.').optional(),
  link: path('The link that leads to the chosen one; needed where the group is new (with Red Hat always).').optional(),
  priority: int('Its weight in automatic mode; 50 where it is new and nothing is said.').optional(),
  state: choice(['present', 'selected', 'auto', 'absent'], 'present: it can be chosen; selected: it is chosen; auto: the highest priority chooses; absent: it is no choice.').default('selected'),
  subcommands: z.array(subcommand).meta({ description: 'Links that follow the choice, as manual pages do.', title: 'list', aliases: ['slaves'] }).optional(),
}).check((context) => {
  const { path, family, state } = context.value;
  if (path === undefined && family === undefined) context.issues.push({ code: 'custom', message: 'path or family is needed', input: context.value, path: ['path'] });
  if (path === undefined && state === 'absent') context.issues.push({ code: 'custom', message: 'state: absent needs path', input: context.value, path: ['path'] });
});
type Wanted = (typeof schema)['_zod']['output'];
type Subcommand = typeof subcommand._output;

interface Choice {
  priority: number;
  family: string | undefined;
  /** Link names and what they lead to. */
  subcommands: { name: string; path: string; link: string | undefined }[];
}

interface Observed {
  mode: string | undefined;
  current: string | undefined;
  link: string | undefined;
  choices: Map<string, Choice>;
}

export const alternatives = defineModule<typeof schema, Observed, Wanted>({
  name: 'alternatives',
  summary: 'Says which of several programs stands for a name, by update-alternatives.',
  params: schema,
  returns: { msg: 'What was done.' },
  examples: ['- alternatives:\n    name: editor\n    path: /usr/bin/vim.basic'],
  inspect: ({ name }) => sh`export LC_ALL=C
command -v update-alternatives >/dev/null || { echo 'the host has no update-alternatives' >&2; exit 1; }
o=$(update-alternatives --display ${name} 2>&1) && printf '%s\\n' "$o" && echo @there && exit
case $o in *'no alternatives for'* | '') echo @none ;; *'o such file'* | *'cannot access'* | *'does not exist'*) echo @none ;; *) printf '%s\\n' "$o" >&2; exit 1 ;; esac`,
  parse({ rc, stdout, stderr }): Observed {
    if (rc !== 0 || !/^@(there|none)$/m.test(stdout)) throw new ModuleError(`cannot look at the alternatives: ${stderr.trim()}`, { rc, stdout, stderr });
    return parseDisplay(stdout);
  },
  compare(wanted, { mode, current, choices }) {
    const { path, state } = wanted;
    const own = path === undefined ? undefined : choices.get(path);
    if (state === 'absent') return own ? [{ field: 'state', from: `${path} present`, to: `${path} absent` }] : [];
    const changes: Change[] = [];
    if (path !== undefined && !own) changes.push({ field: 'choice', from: null, to: path });
    else if (own && wanted.priority !== undefined && wanted.priority !== own.priority) changes.push({ field: 'priority', from: own.priority, to: wanted.priority });
    if (own && wanted.subcommands && !sameLinks(wanted.subcommands, own.subcommands)) changes.push({ field: 'subcommands', from: own.subcommands, to: wanted.subcommands });
    const isCurrent = current !== undefined && (current === path || (wanted.family !== undefined && choices.get(current)?.family === wanted.family));
    if (state === 'selected' && !isCurrent) changes.push({ field: 'selected', from: current ?? null, to: path ?? wanted.family! });
    if (state === 'auto' && mode === 'manual') changes.push({ field: 'mode', from: 'manual', to: 'auto' });
    return changes;
  },
  apply(wanted, { link: present, choices }, changes) {
    const { name, path, family } = wanted;
    const has = (...fields: string[]): boolean => changes.some(({ field }) => fields.includes(field));
    if (has('state')) return { script: sh`LC_ALL=C update-alternatives --remove ${name} ${path!}` };
    const own = path === undefined ? undefined : choices.get(path);
    const link = wanted.link ?? present;
    const installs = has('choice', 'priority', 'subcommands');
    if (installs && link === undefined) throw new ModuleError(`alternatives needs link: the host does not know of a group "${name}" yet`);
    const follow = (wanted.subcommands ?? own?.subcommands ?? []).flatMap((each) => (each.link === undefined ? [] : ['--slave', each.link, each.name, each.path]));
    const install = sh`[ -e ${path ?? ''} ] || { echo ${`${path} is not there`} >&2; exit 1; }
update-alternatives --install ${link ?? ''} ${name} ${path ?? ''} ${wanted.priority ?? own?.priority ?? 50} ${family === undefined ? [] : ['--family', family]} ${follow} || exit`;
    return {
      script: sh`export LC_ALL=C
${installs ? install : sh``}
${has('selected') ? sh`update-alternatives --set ${name} ${path ?? family!} || exit` : sh``}
${has('mode') ? sh`update-alternatives --auto ${name} || exit` : sh``}`,
    };
  },
  undo({ name, path }, { mode, current, link, choices }, changes) {
    const has = (field: string): boolean => changes.some((change) => change.field === field);
    const own = path === undefined ? undefined : choices.get(path);
    const chosen = (): { module: string; args: object }[] => (mode === 'auto' ? [{ module: 'alternatives', args: { name, path: path ?? current, state: 'auto' } }] : current === undefined ? [] : [{ module: 'alternatives', args: { name, path: current } }]);
    const was = own && { module: 'alternatives', args: { name, path, link, priority: own.priority, state: 'present', subcommands: own.subcommands.filter((each) => each.link !== undefined) } };
    const back = [
      ...(has('choice') ? [{ module: 'alternatives', args: { name, path, state: 'absent' } }] : was ? [was] : []),
      ...(current !== undefined && !(has('choice') && mode === 'auto') ? chosen() : []),
    ];
    return back.map(({ module, args }, i) => ({ module, args: args as { [name: string]: unknown }, ...(i > 0 ? { behind: true } : {}) }));
  },
  result({ name, path, family }, _observed, output) {
    if (!output) return { msg: '' };
    return { msg: `${name} is about ${path ?? family} as asked for` };
  },
});
export default alternatives;

function sameLinks(wanted: readonly Subcommand[], present: Choice['subcommands']): boolean {
  const text = (all: readonly { name: string; path: string; link: string | undefined }[]): string => all.map(({ name, path, link }) => JSON.stringify([name, path, link])).sort().join();
  return text(wanted) === text(present.map((each) => ({ ...each, link: each.link ?? wanted.find(({ name }) => name === each.name)?.link })));
}

/** Reads `update-alternatives --display` of Debian (dpkg) and of Red Hat (chkconfig), in the C locale. */
export function parseDisplay(text: string): Observed {
  const observed: Observed = { mode: undefined, current: undefined, link: undefined, choices: new Map() };
  const links = new Map<string, string>();
  let choice: Choice | undefined;
  for (const line of text.split('\n')) {
    const take = (pattern: RegExp): string[] | undefined => pattern.exec(line)?.slice(1);
    let found: string[] | undefined;
    if ((found = take(/^(\/.*) - (?:family (\S+) )?priority (\d+)/))) {
      choice = { priority: Number(found[2]), family: found[1], subcommands: [] };
      observed.choices.set(found[0]!, choice);
    } else if ((found = take(/^\S.* - (?:status is )?(auto|manual)(?: mode|\.)$/))) observed.mode = found[0];
    else if ((found = take(/^\s*link currently points to (.*)$/))) observed.current = found[0];
    else if ((found = take(/^\s*link best version is /))) continue;
    else if ((found = take(/^\s*link \S+ is (.*)$/))) observed.link = found[0];
    else if (choice && (found = take(/^\s+(?:slave|follower) (\S+): (.*)$/))) {
      if (found[1] !== '(null)') choice.subcommands.push({ name: found[0]!, path: found[1]!, link: links.get(found[0]!) });
    } else if ((found = take(/^\s*(?:slave|follower) (\S+) is (.*)$/))) links.set(found[0]!, found[1]!);
  }
  return observed;
}
