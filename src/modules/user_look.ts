/** What a host tells of users: of many by the processes of one. */
import { Question, type Kind } from '../shell/question.js';
import { join, sh, type Sh } from '../shell/sh.js';
import { lookups, sections } from './accounts.js';
import { ModuleError, type Output } from './module.js';
import { hostPath } from './words.js';

/** What is looked for, as the parameters of `user` have it. */
export interface Looked {
  name: string;
  group?: string | undefined;
  shell?: string | undefined;
  home?: string | undefined;
  local: boolean;
  generate_ssh_key: boolean;
  ssh_key_file?: string | undefined;
  ssh_key_type: string;
}

export interface Account {
  uid: number;
  gid: number;
  comment: string;
  home: string;
  shell: string;
  /** Fields of /etc/shadow, none where it has no such entry; undefined where it may not be read. */
  shadow: string[] | undefined;
  /** Name and number of all groups, the primary one first. */
  groups: { name: string; gid: number }[];
  /** Whether the wanted home folder, or else the present one, is there. */
  homeExists: boolean;
}
export interface Observed {
  account: Account | undefined;
  /** Number of the wanted primary group; undefined where there is no such group. */
  group: number | undefined;
  /** The wanted shell and home folder, with `~` expanded as the asking user has it. */
  expanded: { shell: string | undefined; home: string | undefined };
  /** A group has the user's name. */
  namesake: boolean;
  key: { fingerprint: string; publicKey: string } | undefined;
  /** There is a public key alone, in the way of a new pair. */
  halfKey: boolean;
}

export const keyFile = (wanted: Looked) => wanted.ssh_key_file ?? `.ssh/id_${wanted.ssh_key_type}`;
/** Sets $k to the path of the key, given the home folder in $h. */
export const keyPath = (wanted: Looked): Sh => (keyFile(wanted).startsWith('/') ? sh`k=${keyFile(wanted)}` : sh`k=$h/${keyFile(wanted)}`);

/** Prints public key and fingerprint, if there are any, and whether there is somebody's public key alone. */
export const tellKey = sh`echo @key
if [ -e "$k" ]; then ssh-keygen -lf "$k" </dev/null || :; cat "$k.pub" 2>/dev/null || :; elif [ -e "$k.pub" ]; then echo @halfkey; fi`;

export function inspect(wanted: Looked): Sh {
  // What hangs on who asks, or on more files, is asked for one user alone.
  if (wanted.generate_ssh_key || wanted.shell?.startsWith('~') || wanted.home?.startsWith('~')) return looking([wanted]);
  return new Question(users(wanted.local), wanted);
}

const users = (local: boolean): Kind<Looked> => ({
  name: `users ${local}`,
  key: ({ name, group, home }) => JSON.stringify([name, group, home]),
  text: looking,
  apart,
});

const wantedGroup = ({ group }: Looked): string[] => (group === undefined ? [] : [group]);

function looking(all: readonly Looked[]): Sh {
  const [first] = all as [Looked];
  const names = [...new Set(all.map(({ name }) => name))];
  const isAlone = all.length === 1;
  return join([
    lookups(first.local),
    sh`p=$(accounts passwd ${names}) || exit
echo @passwd; printf '%s\\n' "$p"
echo @groups; accounts group ${[...new Set([...names, ...all.flatMap(wantedGroup)])]} || exit`,
    ...(isAlone ? (['shell', 'home'] as const) : []).map((field) => (first[field]?.startsWith('~') ? sh`echo ${`@wanted${field}`}; printf '%s\\n' ${hostPath(first[field])}` : sh``)),
    sh`echo @wanted`,
    ...all.map(({ home }, i) => (home === undefined ? sh`` : sh`if [ -d ${hostPath(home)} ]; then echo ${String(i)}; fi`)),
    sh`echo @home
set -f; set --; IFS='
'
for e in $p; do
  h=\${e%:*}; h=\${h##*:}; e=\${e%%:*}
  if [ -d "$h" ]; then printf '%s\\n' "$e"; fi
  set -- "$@" "$e"
done
unset IFS; set +f
if [ $# -gt 0 ]; then
  echo @ids
  # id of coreutils before 8.31 and busybox' take one name. It may fail, having told all, where a group of a number is gone.
  if [ $# -gt 1 ] && i=$(id -- "$@" 2>/dev/null); then printf '%s\\n' "$i"
  else for e do i=$(id -- "$e") || [ "$i" ] || exit; printf '%s\\n' "$i"; done
  fi
  if [ -r /etc/shadow ]; then echo @shadow; accounts shadow "$@" || exit; fi`,
    first.generate_ssh_key ? sh`  h=\${p%:*}; h=\${h##*:}; ${keyPath(first)}; ${tellKey}` : sh``,
    sh`fi
echo @end`,
  ]);
}

/** Names differ from those asked for where a directory service knows no upper case: then each is asked about alone. */
function apart(stdout: string, all: readonly Looked[]): string[] | undefined {
  const section = sections({ rc: 0, stdout, stderr: '' }, 'users');
  const [entries, groups, wanted, homes, ids, shadow] = ['passwd', 'groups', 'wanted', 'home', 'ids', 'shadow'].map(section) as [string[], string[], string[], string[], string[], string[]];
  const named = (lines: string[], name: string) => lines.filter((line) => line.split(':')[0] === name);
  const idOf = (name: string) => ids.filter((line) => /^uid=\d+\(([^)]*)\)/.exec(line)?.[1] === name);
  const names = [...new Set(all.map(({ name }) => name))];
  const known = names.filter((name) => named(entries, name).length === 1);
  if (known.length !== entries.length || ids.length !== known.length || known.some((name) => idOf(name).length !== 1)) return undefined;
  if (groups.some((line) => !all.some((looked) => isGroupOf(looked, line)))) return undefined;
  return all.map((looked, i) => {
    const { name } = looked;
    const lines = ['@passwd', ...(known.includes(name) ? named(entries, name) : ['']), '@groups', ...new Set(groups.filter((line) => isGroupOf(looked, line))), '@wanted', ...(wanted.includes(String(i)) ? ['0'] : []), '@home', ...homes.filter((line) => line === name)];
    if (known.includes(name)) lines.push('@ids', ...idOf(name), ...(stdout.includes('\n@shadow\n') ? ['@shadow', ...named(shadow, name)] : []));
    return [...lines, '@end', ''].join('\n');
  });
}

/** Whether an entry is the group of a name or number; names of directory services may come in another case. */
function isGroup(entry: string, asked: string): boolean {
  const [name, , gid] = entry.split(':');
  return name!.toLowerCase() === asked.toLowerCase() || gid === asked;
}

const isGroupOf = (looked: Looked, entry: string): boolean => [looked.name, ...wantedGroup(looked)].some((asked) => isGroup(entry, asked));

export function parse(output: Output, wanted: Looked): Observed {
  const section = sections(output, `the user ${wanted.name}`);
  const entry = section('passwd')[0];
  const fields = entry?.split(':');
  if (fields && (fields.length !== 7 || !/^\d+$/.test(fields[2]!))) throw new ModuleError(`cannot read the entry of the user: ${entry}`);
  const groups = section('groups');
  const { group: asked } = wanted;
  const gid = asked === undefined ? undefined : (groups.find((line) => line.split(':')[0] === asked) ?? groups.find((line) => isGroup(line, asked)))?.split(':')[2];
  const [fingerprint, publicKey] = section('key');
  const shadow = output.stdout.includes('\n@shadow\n') ? (section('shadow')[0]?.split(':') ?? []) : undefined;
  return {
    account: fields && {
      uid: Number(fields[2]),
      gid: Number(fields[3]),
      comment: fields[4]!,
      home: fields[5]!,
      shell: fields[6]!,
      shadow,
      groups: groupsIn(section('ids')[0] ?? ''),
      homeExists: section(wanted.home === undefined ? 'home' : 'wanted').length > 0,
    },
    group: gid === undefined ? undefined : Number(gid),
    expanded: { shell: section('wantedshell')[0] ?? wanted.shell, home: section('wantedhome')[0] ?? wanted.home },
    namesake: groups.some((line) => isGroup(line, wanted.name)),
    halfKey: hasHalfKey(output),
    key: fingerprint === undefined ? undefined : { fingerprint, publicKey: publicKey ?? '' },
  };
}

/** The groups that id(1) tells: numbers, and behind them names in brackets where they have one. */
function groupsIn(line: string): Account['groups'] {
  return [...(/ groups=(.*)$/.exec(line)?.[1] ?? '').matchAll(/(\d+)(?:\(([^)]*)\))?/g)].map(([, gid, name]) => ({ gid: Number(gid), name: name ?? gid! }));
}

export const hasHalfKey = ({ stdout }: Output): boolean => stdout.includes('\n@halfkey\n');
