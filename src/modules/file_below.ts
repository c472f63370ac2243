/** All that is in a folder, and what links in it lead to: `recurse` of the `file` module. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { compareAttributes, ownership, setLabels, type Attributes } from './attributes.js';
import { compareFlags, flagLetters, setFlags } from './flags.js';
import { parseKind, SELINUX, type Stat } from './look.js';
import { ModuleError, type Change } from './module.js';

/** One kind of member: everything with the same type, mode and owner counts once. */
type Member = Pick<Stat, 'kind' | 'mode' | 'uid' | 'gid' | 'owner' | 'group' | 'context'>;

export interface Below {
  members: Member[];
  /** Each set of flags that something has, where they were asked for. */
  flags: string[];
}

type Wanted = Attributes & { follow: boolean };

/** The braces of a find within a find: the outer one leaves these alone. */
const INSIDE = raw('"{""}" +');

/**
 * Has find run a command on the folder and all that is in it and, where links are followed, on what they lead to.
 * @param own on each thing itself, links too
 * @param through on what a link leads to
 */
function everywhere(root: Sh, follow: boolean, own: Sh, through: Sh): Sh {
  const targets = sh` && find ${root}/. -type l -exec sh -c ${sh`for l do [ ! -e "$l" ] || find -L "$l" ! -type l -exec ${through} ${INSIDE} || exit; done`.text} sh {} +`;
  return sh`find ${root}/. ${own} {} +${follow ? targets : join([])}`;
}

/** Prints two fields: what there is, and which flags. */
export function inspectBelow(root: Sh, wanted: Wanted): Sh {
  const format = '%f|%u|%g|%U|%G|';
  const flags = sh`find ${root}/. ! -type l -exec lsattr -d {} + 2>/dev/null | sed 's/ .*//' | sort -u`;
  return join([
    SELINUX,
    sh`export muster_se; if [ -d ${root} ]; then { ${everywhere(root, wanted.follow, sh`-exec stat -c "${raw(format)}$muster_se"`, sh`stat -L -c "${raw(format)}$muster_se"`)} || echo failed; } | sort -u; fi`,
    raw("printf '\\000'"),
    wanted.attributes ? sh`if [ -d ${root} ] && command -v chattr >/dev/null; then ${flags}; fi` : join([]),
    raw("printf '\\000'"),
  ]);
}

/** Takes what inspectBelow() printed off the end of the fields. @throws ModuleError where find failed */
export function takeBelow(rest: string[], what: string, stderr: string): Below {
  const [members, flags] = rest.splice(-2) as [string, string];
  if (/^failed$/m.test(members)) throw new ModuleError(`${what}: ${stderr.trim() || 'find failed'}`);
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  return { members: lines(members).map(parseMember), flags: lines(flags).filter((line) => /^[A-Za-z-]{8,}$/.test(line)).map(flagLetters) };
}

function parseMember(line: string): Member {
  const [bits, uid, gid, owner, group, context] = line.split('|');
  if (context === undefined) throw new ModuleError(`cannot read the output of stat: ${line}`);
  const { kind, mode } = parseKind(bits!);
  return { kind, mode, uid: Number(uid), gid: Number(gid), owner: owner!, group: group!, ...(context === '' ? {} : { context }) };
}

/** What differs anywhere; many members with the same difference are one change. */
export function compareBelow(wanted: Wanted, { members, flags }: Below, umask: number): Change[] {
  const changes = [...members.flatMap((member) => compareAttributes(wanted, member as Stat, umask)), ...flags.flatMap((each) => compareFlags(wanted.attributes, each))];
  return [...new Map(changes.map((change) => [`${change.field} ${String(change.from)} ${String(change.to)}`, change])).values()];
}

/** Makes the changes of compareBelow(); of a link the owner and the context change, and what it leads to as well where that is wanted. */
export function applyBelow(root: Sh, wanted: Wanted, changes: readonly Change[]): Sh {
  const { follow, owner, group, mode, attributes } = wanted;
  const has = (field: string): boolean => changes.some((change) => change.field === field);
  const who = ownership(has('owner') ? owner : undefined, has('group') ? group : undefined);
  const bits = mode === undefined || !(has('mode') || who !== '') ? undefined : /^\d+$/.test(mode) ? `0${mode}` : mode;
  const steps = [
    who === '' ? join([]) : everywhere(root, follow, sh`-exec chown -h -- ${who}`, sh`chown -- ${who}`),
    bits === undefined ? join([]) : everywhere(root, follow, sh`! -type l -exec chmod -- ${bits}`, sh`chmod -- ${bits}`),
  ];
  if (changes.some(({ field }) => field.startsWith('se'))) steps.push(sh`find ${root}/. -exec sh -c ${setLabels(raw('"$@"'), { ...wanted, attributes: undefined }).text} sh {} +`);
  if (has('attributes')) steps.push(sh`find ${root}/. ! -type l -exec sh -c ${setFlags(raw('"$@"'), attributes).text} sh {} +`);
  return join(steps, ' && ');
}
