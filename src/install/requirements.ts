import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ContentError, didYouMean } from '../value/errors.js';
import { trimmedEnd } from '../value/text.js';
import { isDict, type Dict, type Origin, type Value } from '../value/value.js';
import { keyOrigin, originOf, parseYaml } from '../yaml/index.js';

/** One role or collection, and where it comes from. */
export interface Requirement {
  kind: 'role' | 'collection';
  /** Name of the role's folder; of a collection only its own metadata tells. */
  name: string | undefined;
  from: { git: string; /** Folder within the repository. */ inside: string | undefined } | { archive: string } | { folder: string };
  /** Tag, branch or commit; undefined takes what the repository has checked out by default. */
  version: string | undefined;
  origin: Origin;
}

const ROLE_KEYS = ['src', 'name', 'scm', 'version', 'include', 'role'];
const COLLECTION_KEYS = ['name', 'type', 'version', 'source'];
const TYPES = ['git', 'url', 'file', 'dir'];

/**
 * Reads a `requirements.yml` as ansible-galaxy does: a list of roles, or `roles` and `collections`.
 * @param shown its path, for messages
 * @throws ContentError for the first thing that cannot be brought, e.g. what only Ansible Galaxy has
 */
export function readRequirements(path: string, shown: string, seen: readonly string[] = []): Requirement[] {
  const file = resolve(path);
  const value = parseYaml(readFileSync(file, 'utf8'), shown);
  const top: Origin = { file: shown, line: 1, column: 1 };
  const base = dirname(file);
  const list = (of: Value | undefined, kind: Requirement['kind'], at: Origin): Requirement[] => {
    if (of === undefined || of === null) return [];
    if (!Array.isArray(of)) throw new ContentError(`a list of ${kind}s is wanted here`, at, 'begin each with a dash');
    return of.flatMap((each, i) => {
      const origin = originOf(of, i) ?? at;
      if (kind === 'role' && isDict(each) && each.has('include')) {
        const included = resolve(base, String(each.get('include')));
        if (seen.includes(included) || included === file) throw new ContentError(`${String(each.get('include'))} includes itself`, origin);
        return readRequirements(included, included, [...seen, file]);
      }
      return [kind === 'role' ? roleOf(each, origin, base) : collectionOf(each, origin, base)];
    });
  };
  if (value === null || Array.isArray(value)) return list(value ?? undefined, 'role', top);
  if (!isDict(value)) throw new ContentError('requirements are a list of roles, or a dict with "roles" and "collections"', top);
  for (const key of value.keys()) if (key !== 'roles' && key !== 'collections') throw new ContentError(`requirements have no "${String(key)}"`, keyOrigin(value, key) ?? top, didYouMean(String(key), ['roles', 'collections']) ?? 'they have roles and collections');
  return [...list(value.get('roles'), 'role', originOf(value, 'roles') ?? top), ...list(value.get('collections'), 'collection', originOf(value, 'collections') ?? top)];
}

function textsOf(each: Value, keys: readonly string[], what: string, origin: Origin): Map<string, string> {
  if (typeof each === 'string') return new Map();
  if (!isDict(each)) throw new ContentError(`${what} must be text or a dict`, origin);
  const texts = new Map<string, string>();
  for (const [key, value] of each as Dict) {
    if (!keys.includes(String(key))) throw new ContentError(`${what} has no "${String(key)}"`, keyOrigin(each, key) ?? origin, didYouMean(String(key), keys) ?? `it has ${keys.join(', ')}`);
    if (value !== null) texts.set(String(key), String(value));
  }
  return texts;
}

/** `SRC`, `SRC,VERSION,NAME`, or a dict. */
function roleOf(each: Value, origin: Origin, base: string): Requirement {
  const texts = textsOf(each, ROLE_KEYS, 'a role', origin);
  const [short, shortVersion, shortName] = typeof each === 'string' ? each.split(',').map((part) => part.trim()) : [];
  const src = short ?? texts.get('src') ?? texts.get('role') ?? texts.get('name');
  if (src === undefined || src === '') throw new ContentError('a role needs "src"', origin, 'write the URL of its repository, an archive or a folder');
  const version = versionOf(shortVersion ?? texts.get('version'), origin);
  if (texts.has('scm') && texts.get('scm') !== 'git') throw new ContentError(`${texts.get('scm')} repositories are not read`, origin, 'only git is');
  const from = sourceOf(src, texts.get('scm') === 'git' || /\.git$/.test(src.split('#')[0]!) || isHub(src), origin, base);
  if (!from) throw galaxy(src, 'role', origin);
  const name = shortName ?? (texts.has('src') ? texts.get('name') : undefined) ?? trimmedEnd(src.replace(/[#,].*$/, ''), '/').split(/[/:]/).at(-1)!.replace(/\.git$|\.tar(\.\w+)?$|\.tgz$/, '');
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name)) throw new ContentError(`"${name}" cannot name a role`, origin, 'give it a "name" of letters, digits, - and _');
  return { kind: 'role', name, from, version, origin };
}

function collectionOf(each: Value, origin: Origin, base: string): Requirement {
  const texts = textsOf(each, COLLECTION_KEYS, 'a collection', origin);
  const type = texts.get('type');
  if (type === 'galaxy' || texts.has('source') && type === undefined) throw galaxy(texts.get('name') ?? '', 'collection', origin);
  if (type !== undefined && !TYPES.includes(type)) throw new ContentError(`there is no type "${type}"`, origin, didYouMean(type, TYPES) ?? `there are ${TYPES.join(', ')}`);
  let name = typeof each === 'string' ? each : texts.get('name') ?? texts.get('source');
  if (name === undefined || name === '') throw new ContentError('a collection needs "name"', origin, 'write the URL of its repository, an archive or a folder');
  let version = texts.get('version');
  // `URL#/folder,version`, and `URL,version`.
  const comma = /^(.*),([^,/:]+)$/.exec(name);
  if (comma) [name, version] = [comma[1]!, version ?? comma[2]!];
  const from = sourceOf(name, type === 'git' || /\.git(?:#|$)/.test(name) || isHub(name), origin, base);
  if (!from) throw galaxy(name, 'collection', origin);
  return { kind: 'collection', name: undefined, from, version: versionOf(version, origin), origin };
}

function isHub(src: string): boolean {
  return /^(?:git\+|git@|git:\/\/|ssh:\/\/)/.test(src) || /^https:\/\/(?:github|gitlab|codeberg)\.\w+\/[^/]+\/[^/#,]+\/?(?:#|$)/.test(src);
}

function sourceOf(written: string, isGit: boolean, origin: Origin, base: string): Requirement['from'] | undefined {
  if (isGit) {
    const [url, inside] = written.replace(/^git\+/, '').split('#', 2) as [string, string | undefined];
    // `ext::` and its like run programs, and what begins with a dash is an option.
    if (/^[\w-]+::/.test(url) || url.startsWith('-')) throw new ContentError(`"${url}" is no address of a repository`, origin);
    if (inside?.split('/').includes('..')) throw new ContentError(`"${inside}" leads out of the repository`, origin);
    const local = !/^\w+:\/\/|^[\w.-]+@[\w.-]+:/.test(url);
    return { git: local ? resolve(base, url) : url, inside: inside?.replace(/^\/+/, '') || undefined };
  }
  if (/^https?:\/\//.test(written)) return { archive: written };
  if (/\.tar(?:\.\w+)?$|\.tgz$/.test(written)) return { archive: resolve(base, written.replace(/^file:\/\//, '')) };
  return /^(?:\.{0,2}\/|file:\/\/)/.test(written) ? { folder: resolve(base, written.replace(/^file:\/\//, '')) } : undefined;
}

function versionOf(version: string | undefined, origin: Origin): string | undefined {
  if (version === undefined || version === '' || version === '*') return undefined;
  if (/^[<>=!~-]/.test(version)) throw new ContentError(`"${version}" names no tag, branch or commit`, origin, 'write one: version: 1.2.3');
  return version;
}

function galaxy(name: string, kind: Requirement['kind'], origin: Origin): ContentError {
  const how = kind === 'role' ? 'src: https://github.com/OWNER/REPOSITORY, scm: git' : 'name: https://github.com/OWNER/REPOSITORY, type: git';
  return new ContentError(`"${name}" is a name on Ansible Galaxy, which is not asked`, origin, `write where the ${kind} comes from: {${how}, version: TAG}`);
}
