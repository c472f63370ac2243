import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ContentError } from '../value/errors.js';
import { isDict } from '../value/value.js';
import { parseYaml } from '../yaml/index.js';
import { bring } from './bring.js';
import type { Requirement } from './requirements.js';

/** What is kept beside an installed role or collection: where it came from. */
const NOTE = '.muster-install.json';

export interface Where {
  /** Folder of roles. */
  roles: string;
  /** Folder that holds `ansible_collections/`. */
  collections: string;
}

export interface Installed {
  kind: Requirement['kind'];
  name: string;
  path: string;
  /** What was asked for, or the collection's own version. */
  version: string | undefined;
  commit: string | undefined;
  /** It was there already, from the same place in the same version. */
  kept: boolean;
  /** What it needs besides, by name. */
  needs: string[];
}

/**
 * Brings all requirements, checks them, and only then puts them in their places, each at one stroke: what fails on the way leaves
 * everything as it was.
 * @param again brings anew what is there already
 * @throws ContentError
 */
export async function install(requirements: readonly Requirement[], where: Where, again: boolean): Promise<Installed[]> {
  const tops = { role: where.roles, collection: join(where.collections, 'ansible_collections') };
  const staging = new Map<string, string>();
  const back: (() => Promise<void>)[] = [];
  const ready: { from: string | undefined; installed: Installed; note: string }[] = [];
  try {
    for (const [i, requirement] of requirements.entries()) {
      const top = tops[requirement.kind];
      const note = JSON.stringify({ from: requirement.from, version: requirement.version ?? null });
      const there = again || requirement.name === undefined ? undefined : noted(join(top, requirement.name), note);
      if (there) {
        ready.push({ from: undefined, note, installed: { kind: 'role', name: requirement.name!, path: join(top, requirement.name!), version: requirement.version, commit: there.commit, kept: true, needs: [] } });
        continue;
      }
      if (!staging.has(top)) {
        await mkdir(top, { recursive: true });
        staging.set(top, await mkdtemp(join(top, '.muster-install.')));
      }
      const into = join(staging.get(top)!, String(i));
      await mkdir(into);
      const { folder, commit } = await bring(requirement, into);
      const what = requirement.kind === 'role' ? roleIn(folder, requirement) : collectionIn(folder, requirement);
      ready.push({ from: folder, note, installed: { kind: requirement.kind, ...what, path: join(top, ...(requirement.kind === 'role' ? [what.name] : what.name.split('.'))), commit, kept: false } });
    }
    const twice = ready.find(({ installed }, i) => ready.findIndex((other) => other.installed.path === installed.path) !== i);
    if (twice) throw new ContentError(`${twice.installed.name} is required twice`, requirements[ready.indexOf(twice)]!.origin, 'leave one out');
    for (const [i, { from, installed, note }] of ready.entries()) {
      if (from === undefined) continue;
      await writeFile(join(from, NOTE), `${JSON.stringify({ ...(JSON.parse(note) as object), commit: installed.commit ?? null })}\n`);
      await mkdir(dirname(installed.path), { recursive: true }).catch((error: Error) => {
        throw new ContentError(`there is no place for ${installed.name}: ${error.message}`, requirements[i]!.origin);
      });
      // The old one goes aside first: a folder cannot take another's place.
      const old = join(staging.get(tops[installed.kind])!, `old-${installed.name}`);
      if (existsSync(installed.path)) {
        await rename(installed.path, old);
        back.push(() => rename(old, installed.path));
      }
      await rename(from, installed.path);
      back.push(() => rename(installed.path, from));
    }
  } catch (error) {
    // First of all, since the old ones are removed with the rest: should one not go back, it is still there.
    for (const step of back.reverse()) await step();
    await remove(staging);
    throw error;
  }
  await remove(staging);
  return ready.map(({ installed }) => installed);
}

async function remove(staging: ReadonlyMap<string, string>): Promise<void> {
  for (const folder of staging.values()) await rm(folder, { recursive: true, force: true });
}

/** What was noted when it was installed, where that is what is asked for now. A branch may have moved on: only what names a version counts. */
function noted(path: string, note: string): { commit: string | undefined } | undefined {
  try {
    const { commit, ...rest } = JSON.parse(readFileSync(join(path, NOTE), 'utf8')) as { commit: string | null };
    return JSON.stringify(rest) === note && !note.endsWith('"version":null}') ? { commit: commit ?? undefined } : undefined;
  } catch {
    return undefined;
  }
}

function roleIn(folder: string, { name, version, origin }: Requirement): Pick<Installed, 'name' | 'version' | 'needs'> {
  if (!['tasks', 'meta', 'defaults', 'handlers', 'vars', 'library'].some((part) => existsSync(join(folder, part)))) throw new ContentError(`what came for ${name} is no role: it has neither tasks/ nor meta/`, origin);
  const meta = ['main.yml', 'main.yaml'].map((file) => join(folder, 'meta', file)).find((file) => existsSync(file));
  const value = meta === undefined ? null : parseYaml(readFileSync(meta, 'utf8'), meta);
  const dependencies = isDict(value) ? value.get('dependencies') : undefined;
  const needs = Array.isArray(dependencies) ? dependencies.map((each) => String(isDict(each) ? each.get('role') ?? each.get('src') ?? each.get('name') : each)) : [];
  return { name: name!, version, needs };
}

/** A collection says who it is in MANIFEST.json (archives) or galaxy.yml (sources). */
function collectionIn(folder: string, { version, origin }: Requirement): Pick<Installed, 'name' | 'version' | 'needs'> {
  const manifest = join(folder, 'MANIFEST.json');
  const source = join(folder, 'galaxy.yml');
  let info: unknown;
  if (existsSync(manifest)) info = member(parseYaml(readFileSync(manifest, 'utf8'), manifest), 'collection_info');
  else if (existsSync(source)) info = parseYaml(readFileSync(source, 'utf8'), source);
  const [space, name] = ['namespace', 'name'].map((key) => member(info, key));
  if (typeof space !== 'string' || typeof name !== 'string' || !/^\w+$/.test(space) || !/^\w+$/.test(name)) throw new ContentError('what came is no collection: it has neither MANIFEST.json nor galaxy.yml with namespace and name', origin, 'of one within a repository name the folder: URL#/folder');
  const needs = member(info, 'dependencies');
  return { name: `${space}.${name}`, version: version ?? text(member(info, 'version')), needs: isDict(needs) ? [...needs.keys()].map(String) : [] };
}

function member(value: unknown, key: string): unknown {
  return isDict(value) ? value.get(key) : undefined;
}

function text(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}
