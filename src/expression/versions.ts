/** Version comparison as Ansible's `version` test: loose and strict (distutils), semver, pep440. */
import { fail } from './undefined.js';

type Part = number | string;

/** Negative, zero or positive. */
export function compareVersions(a: string, b: string, kind: string): number {
  for (const version of [a, b]) if (version.trim() === '') fail('the version is empty', 'give it a version such as 1.2');
  switch (kind) {
    case 'loose':
      return compareParts(loose(a), loose(b));
    case 'strict':
      return compareParts(strict(a), strict(b));
    case 'semver':
    case 'semantic':
      return compareSemver(a, b);
    case 'pep440':
      return compareParts(pep440(a), pep440(b));
  }
  return fail(`version knows no version_type "${kind}"`, 'it knows loose, strict, semver and pep440');
}

function compareParts(a: Part[], b: Part[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const x = a[i];
    const y = b[i];
    if (x === undefined) return -1;
    if (y === undefined) return 1;
    if (x === y) continue;
    if (typeof x === typeof y) return x < y ? -1 : 1;
    fail(`versions cannot be compared: '${x}' and '${y}' are of different kinds`, 'give version_type="semver" or "pep440"');
  }
  return 0;
}

/** LooseVersion: runs of digits and of letters. */
function loose(version: string): Part[] {
  return [...version.matchAll(/\d+|[a-z]+|[^\d.a-z]+/g)].map(([part]) => (/^\d+$/.test(part) ? Number(part) : part));
}

function strict(version: string): Part[] {
  const found = /^(\d+)\.(\d+)(?:\.(\d+))?([ab]\d+)?$/.exec(version);
  if (!found) return fail(`"${version}" is no strict version`, 'it is two or three numbers, as in 1.2.3 or 1.2b1');
  const [, major, minor, patch, pre] = found;
  // A pre-release stands before its release: "~" sorts behind "a" and "b".
  return [Number(major), Number(minor), Number(patch ?? 0), pre?.[0] ?? '~', Number(pre?.slice(1) ?? 0)];
}

function compareSemver(a: string, b: string): number {
  const parse = (version: string) => {
    const found = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(version);
    if (!found) return fail(`"${version}" is no semantic version`, 'it is three numbers, as in 1.2.3 or 1.2.3-rc.1');
    return { numbers: found.slice(1, 4).map(Number), pre: found[4]?.split('.') };
  };
  const [x, y] = [parse(a), parse(b)];
  const numbers = compareParts(x.numbers, y.numbers);
  if (numbers !== 0 || (!x.pre && !y.pre)) return numbers;
  if (!x.pre) return 1;
  if (!y.pre) return -1;
  for (let i = 0; i < Math.max(x.pre.length, y.pre.length); i++) {
    const [p, q] = [x.pre[i], y.pre[i]];
    if (p === undefined) return -1;
    if (q === undefined) return 1;
    if (p === q) continue;
    const [pn, qn] = [/^\d+$/.test(p), /^\d+$/.test(q)];
    if (pn && qn) return Number(p) - Number(q);
    if (pn !== qn) return pn ? -1 : 1;
    return p < q ? -1 : 1;
  }
  return 0;
}

function pep440(version: string): Part[] {
  const found = /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?(?:(?:[-_.]?(?:post|rev|r)[-_.]?(\d*))|-(\d+))?(?:[-_.]?dev[-_.]?(\d*))?(?:\+([a-z0-9.]+))?$/i.exec(version.trim());
  if (!found) return fail(`"${version}" is no version after PEP 440`, 'it looks like 1.2.3, 1.2rc1 or 1.2.post1');
  const [, epoch, release, pre, preNumber, post, postDash, dev] = found;
  const numbers = release!.split('.').map(Number);
  while (numbers.at(-1) === 0) numbers.pop();
  const padded = Array.from({ length: 8 }, (_, i) => numbers[i] ?? 0);
  const stage = pre ? { a: 1, alpha: 1, b: 2, beta: 2 }[pre.toLowerCase()] ?? 3 : dev !== undefined && post === undefined && postDash === undefined ? 0 : 4;
  const postNumber = post ?? postDash;
  return [Number(epoch ?? 0), ...padded, stage, Number(preNumber || 0), postNumber === undefined ? -1 : Number(postNumber || 0), dev === undefined ? Infinity : Number(dev || 0)];
}
