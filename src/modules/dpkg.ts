/** Debian packages: what a playbook asks for, and what dpkg and apt say is there. */
import { fnmatch } from '../value/glob.js';
import { ModuleError } from './module.js';

/** `nginx`, `libc6:i386`, `nginx=1.22*`, `nginx>=1.20`, `nginx/bookworm-backports` */
export interface Spec {
  written: string;
  name: string;
  arch: string | undefined;
  /** A version, or a shell pattern of one. */
  version: string | undefined;
  relation: '=' | '>=';
  release: string | undefined;
}

/** Names by Debian Policy 5.6.1, here with patterns too. @throws Error on anything else */
export function parseSpec(written: string): Spec {
  const match = /^([a-z0-9*?[][a-z0-9+.*?[\]!-]*)(?::([a-z0-9-]+))?(?:\s*(>=|=)\s*([A-Za-z0-9.+:~*?[\]-]+)|\/([\w.-]+))?$/.exec(written.trim());
  if (!match) throw new Error(`"${written}" is not a package: write name, name=version, name>=version or name/release`);
  return { written: written.trim(), name: match[1]!, arch: match[2], relation: (match[3] as '=' | '>=' | undefined) ?? '=', version: match[4], release: match[5] };
}

export function isPattern(text: string): boolean {
  return /[*?[]/.test(text);
}

/** The name, with the architecture where one is given. */
export function nameOf({ name, arch }: Spec): string {
  return arch === undefined ? name : `${name}:${arch}`;
}

/** What apt-get is given to install it. */
export function installArgument(spec: Spec): string {
  const name = nameOf(spec);
  if (spec.release !== undefined) return `${name}/${spec.release}`;
  return spec.version === undefined || spec.relation === '>=' ? name : `${name}=${spec.version}`;
}

export interface Installed {
  name: string;
  arch: string;
  version: string;
  /** installed; only its configuration is left; or stuck in between (unpacked, half-configured, …). */
  status: 'installed' | 'config' | 'broken';
}

/** Lines of `dpkg-query -W`: status, name, architecture, version, separated by tabs. */
export function parseInstalled(lines: readonly string[]): Installed[] {
  return lines.flatMap((line) => {
    const [status, name, arch, version] = line.split('\t');
    if (status === undefined || version === undefined || !/^[uihrp][nicurFHUWt]/.test(status)) throw new ModuleError(`cannot read this line of dpkg-query: ${line}`);
    if (status[1] === 'n') return [];
    return [{ name: name!, arch: arch!, version, status: status[1] === 'i' && status[2] !== 'R' ? 'installed' : status[1] === 'c' ? 'config' : 'broken' } as const];
  });
}

/** Names that installed packages provide: lines of status, name, Provides. */
export function parseProvided(lines: readonly string[]): Set<string> {
  const provided = new Set<string>();
  for (const line of lines) {
    const [status, , provides] = line.split('\t');
    if (status?.[1] !== 'i') continue;
    for (const each of (provides ?? '').split(',')) provided.add(each.trim().split(/[ (:]/)[0]!);
  }
  return provided;
}

/** What apt would install, and all versions it has, the highest first. */
export interface Policy {
  candidate: string | undefined;
  versions: string[];
}

/** `apt-cache policy` by name. */
export function parsePolicy(text: string): Map<string, Policy> {
  const policies = new Map<string, Policy>();
  for (const [, name, candidate, table] of text.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (.*)\n(?: {2}Package pin: .*\n)?(?: {2}Version table:((?:\n {4}.*|\n \*\*\* .*)*))?/gm)) {
    const versions = [...(table ?? '').matchAll(/^ (?:\*\*\*| {3}) (\S+)/gm)].map((match) => match[1]!);
    policies.set(name!, { candidate: candidate === '(none)' ? undefined : candidate, versions });
  }
  return policies;
}

/** The version apt would install to fulfil the spec; undefined where it has none. */
export function installable(spec: Spec, policy: Policy | undefined): string | undefined {
  if (spec.version !== undefined && spec.relation === '=') return policy?.versions.find((version) => fits(spec.version!, version));
  return policy?.candidate !== undefined && satisfies(spec, policy.candidate) ? policy.candidate : undefined;
}

/** What apt-get says it would do: `Inst nginx [1.18] (1.22 Debian:12 [amd64])`, `Remv x [1]`, `Del x 1 [2 kB]`. */
export function parseSimulation(lines: readonly string[]): { verb: string; name: string; from: string | undefined; to: string | undefined }[] {
  return lines.flatMap((line) => {
    const match = /^(Inst|Remv|Purg|Del) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?/.exec(line);
    return match ? [{ verb: match[1]!, name: match[2]!, from: match[3], to: match[4] }] : [];
  });
}

/** A shell pattern, as fnmatch has them, as an extended regular expression. */
export function patternRegex(pattern: string): string {
  return pattern.replace(/[.+^${}()|\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.').replaceAll('[!', '[^');
}

export function fits(pattern: string, text: string): boolean {
  return isPattern(pattern) ? fnmatch(pattern).test(text) : pattern === text;
}

/** Whether an installed version is what the spec asks for. */
export function satisfies(spec: Spec, version: string): boolean {
  if (spec.version === undefined) return true;
  if (spec.relation === '>=') return compareVersions(version, spec.version) >= 0;
  return fits(spec.version, version);
}

/** Orders two Debian versions: Debian Policy 5.6.12, epoch, upstream version, revision. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => {
    const [, epoch, rest] = /^(?:(\d+):)?(.*)$/.exec(version)!;
    const dash = rest!.lastIndexOf('-');
    return [Number(epoch ?? 0), dash < 0 ? rest! : rest!.slice(0, dash), dash < 0 ? '' : rest!.slice(dash + 1)] as const;
  };
  const [left, right] = [parts(a), parts(b)];
  return Math.sign(left[0] - right[0]) || compareParts(left[1], right[1]) || compareParts(left[2], right[2]);
}

function compareParts(a: string, b: string): number {
  const weight = (char: string | undefined) => (char === undefined || /\d/.test(char) ? 0 : char === '~' ? -1 : /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256);
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !/\d/.test(a[i]!)) || (j < b.length && !/\d/.test(b[j]!))) {
      const order = weight(a[i]) - weight(b[j]);
      if (order !== 0) return Math.sign(order);
      i++;
      j++;
    }
    const [x, y] = [/^\d*/.exec(a.slice(i))![0], /^\d*/.exec(b.slice(j))![0]];
    const order = BigInt(x || '0') - BigInt(y || '0');
    if (order !== 0n) return order < 0n ? -1 : 1;
    i += x.length;
    j += y.length;
  }
  return 0;
}
