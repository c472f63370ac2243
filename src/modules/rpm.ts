/** Packages as rpm knows them: what `rpm -q` prints, how a playbook names them, which version is the higher one. */

export interface Rpm {
  name: string;
  epoch: string;
  version: string;
  release: string;
  arch: string;
}

/** What `rpm -q --qf` is given: a line a package. Messages such as "package x is not installed" hold no tab. */
export const QUERY = '%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n';

export function parseRpms(lines: readonly string[]): Rpm[] {
  return lines.flatMap((line) => {
    const [name, epoch, version, release, arch, ...rest] = line.split('\t');
    return arch === undefined || rest.length > 0 ? [] : [{ name: name!, epoch: epoch!, version: version!, release: release!, arch }];
  });
}

/** `1.2-3.el9`, with the epoch in front where it is not 0. */
export const evr = ({ epoch, version, release }: Rpm): string => `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`;

/** `bash-5.1.8-6.el9.x86_64`, as rpm writes it. */
export const nevra = (rpm: Rpm): string => `${rpm.name}-${rpm.version}-${rpm.release}.${rpm.arch}`;

/** How a playbook names packages. */
export type Spec = { text: string } & (
  | { kind: 'group'; group: string }
  | { kind: 'file' }
  | { kind: 'pattern' }
  | { kind: 'related'; name: string; relation: Relation; version: string }
  /** A name, with or without version and architecture, or something packages provide (a path, `perl(CGI)`). */
  | { kind: 'label' }
);
type Relation = '<' | '<=' | '=' | '>=' | '>';

export function parseSpec(text: string): Spec {
  if (text.startsWith('@')) return { text, kind: 'group', group: text.slice(1) };
  if (text.includes('://') || /\.rpm$/.test(text)) return { text, kind: 'file' };
  const related = /^(\S+)\s+(<=?|>=?|==?)\s+(\S+)$/.exec(text);
  if (related) return { text, kind: 'related', name: related[1]!, relation: (related[2] === '==' ? '=' : related[2]) as Relation, version: related[3]! };
  return { text, kind: /[*?[]/.test(text) ? 'pattern' : 'label' };
}

/** Whether a label stands for this package: name, name.arch, name-[epoch:]version[-release[.arch]]. */
export function isLabelOf(label: string, { name, epoch, version, release, arch }: Rpm): boolean {
  const of = (text: string): string[] => [name, `${name}-${text}`, `${name}-${text}-${release}`].flatMap((each) => [each, `${each}.${arch}`]);
  return [...of(version), ...of(`${epoch}:${version}`)].includes(label);
}

/** Where a label may be cut into a name and a version, the longest name first: `java-17-openjdk-17.0.1` at two places. */
export function cuts(label: string): { name: string; version: string }[] {
  return [...label.matchAll(/-(?=\d)/g)].map(({ index }) => ({ name: label.slice(0, index), version: label.slice(index + 1) })).reverse();
}

/** Whether a version satisfies `relation wanted`; a release that is not wanted does not matter. */
export function satisfies(rpm: Rpm, relation: Relation, wanted: string): boolean {
  const order = compareTo(rpm, wanted);
  return (relation.includes('=') && order === 0) || (relation.startsWith('<') && order < 0) || (relation.startsWith('>') && order > 0);
}

/** Below, at or above 0 as the package's version is lower than, the same as or higher than `[epoch:]version[-release]`. */
export function compareTo(rpm: Rpm, wanted: string): number {
  const [, epoch, version, release] = /^(?:(\d+):)?([^-]*)(?:-(.*))?$/.exec(wanted)!;
  const bare = release?.endsWith(`.${rpm.arch}`) ? release.slice(0, -rpm.arch.length - 1) : release;
  return (epoch === undefined ? 0 : Number(rpm.epoch) - Number(epoch)) || compareVersions(rpm.version, version!) || (bare === undefined ? 0 : compareVersions(rpm.release, bare));
}

/**
 * Compares versions as rpm-version(7) says: runs of digits and runs of letters one by one, numbers above letters;
 * `~` sorts below everything, even the end, and `^` above the end but below anything else.
 */
export function compareVersions(a: string, b: string): number {
  const pieces = (text: string): string[] => text.match(/\d+|[A-Za-z]+|[~^]/g) ?? [];
  const [left, right] = [pieces(a), pieces(b)];
  const rank = (piece: string | undefined): number => (piece === '~' ? 0 : piece === undefined ? 1 : piece === '^' ? 2 : /\d/.test(piece) ? 4 : 3);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [x, y] = [left[i], right[i]];
    if (rank(x) !== rank(y)) return rank(x) - rank(y);
    if (x === y) continue;
    const order = rank(x) === 4 ? Number(BigInt(x!) - BigInt(y!)) : x! < y! ? -1 : 1;
    if (order !== 0) return order;
  }
  return 0;
}
