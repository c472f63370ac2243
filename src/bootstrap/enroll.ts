import { existsSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { filesIn, formOf, readAlone, type Inventory } from '../inventory/index.js';
import { toPlain, type Dict } from '../value/value.js';
import { insertIni } from './insert_ini.js';
import { insertYaml, type HostVars } from './insert_yaml.js';

/** What an inventory shall say of a host. */
export interface Entry {
  host: string;
  /** Groups it shall be a member of; none leaves it where it is, or among those of no group. */
  groups: readonly string[];
  /** Variables it lacks, or has other values for. */
  vars: HostVars;
}

/** The file that says so now, and whether it did before; or why it was not written. */
export type Enrolled = { file: string; changed: boolean } | { problem: string };

/** An inventory file that a person wrote. */
interface Written {
  file: string;
  form: 'yaml' | 'ini';
  text: string;
  says: Inventory;
}

/**
 * Writes a host into an inventory file, or into a file of an inventory folder: the one that has the host, else the first
 * of its groups, else the first of all. Text is inserted, the rest stays as it is. What came of it is read before it
 * takes the place of the old: where it does not say just what was wanted, nothing is written.
 * @param sources inventory files and folders, as `-i` takes them; a file that is not there is made, as YAML unless its name ends in `.ini`
 * @returns undefined where there is no file that a person writes
 * @throws ContentError for an inventory that cannot be read
 */
export async function enroll(sources: readonly string[], entry: Entry): Promise<Enrolled | undefined> {
  const { host, groups } = entry;
  const files = (await Promise.all(sources.filter((source) => !source.includes(',')).map(writtenIn))).flat();
  const rank = ({ says }: Written): number => (says.hosts.has(host) ? 2 : 0) + (groups.some((group) => says.groups.has(group)) ? 1 : 0);
  const [best] = [...files].sort((a, b) => rank(b) - rank(a));
  if (best === undefined) return undefined;
  const { file, text } = best;
  let edited: string;
  try {
    edited = inserted(best, entry);
    if (edited !== text && !isWhatWasWanted(best, edited, entry)) return { problem: `${file} is written in a way that cannot be edited safely` };
  } catch {
    return { problem: `${file} is written in a way that cannot be edited safely` };
  }
  if (edited === text) return { file, changed: false };
  // A link is followed: the file itself is replaced.
  const real = existsSync(file) ? realpathSync(file) : file;
  const part = join(dirname(real), `.muster-${process.pid}`);
  try {
    writeFileSync(part, edited, { mode: existsSync(real) ? statSync(real).mode & 0o777 : 0o644 });
    renameSync(part, real);
  } catch (error) {
    rmSync(part, { force: true });
    return { problem: `${file} cannot be written: ${(error as Error).message}` };
  }
  return { file, changed: true };
}

/** What an inventory would say in one line, as JSON, which is YAML too. */
export function inOneLine({ host, groups, vars }: Entry): string {
  return insertYaml('{}', host, groups[0], vars);
}

/** The files of a source that can be edited, which a script cannot; those of a folder without any begin with `hosts.yml`. */
async function writtenIn(source: string): Promise<Written[]> {
  if (!existsSync(source)) return [fresh(source)];
  if (statSync(source).isDirectory()) {
    const files = (await Promise.all((await filesIn(source)).map(writtenIn))).flat();
    return files.length > 0 ? files : [fresh(join(source, 'hosts.yml'))];
  }
  const text = readFileSync(source, 'utf8');
  // Nor one that a vault holds: its text is not for inserting.
  if (text.startsWith('$ANSIBLE_VAULT')) return [];
  const form = text.trim() === '' ? fresh(source).form : await formOf(source, text);
  return form === 'script' ? [] : [{ file: source, form, text, says: readAlone(form, text, source) }];
}

function fresh(file: string): Written {
  const form = extname(file) === '.ini' ? 'ini' : 'yaml';
  return { file, form, text: '', says: readAlone(form, '', file) };
}

function inserted({ form, text, says }: Written, { host, groups, vars }: Entry): string {
  const insert = form === 'yaml' ? insertYaml : insertIni;
  const known = says.hosts.get(host);
  const missing = groups.filter((group) => !known?.groups.includes(group));
  // Where it stands is where its variables go.
  const first = missing[0] ?? known?.groups.find((group) => group !== 'ungrouped');
  if (known && missing.length === 0 && vars.length === 0) return text;
  return missing.slice(1).reduce((edited, group) => insert(edited, host, group, []), insert(text, host, first, vars));
}

/** Whether the host is what was wanted, and nothing else changed. */
function isWhatWasWanted({ form, file, says: before }: Written, edited: string, { host, groups, vars }: Entry): boolean {
  const after = readAlone(form, edited, file);
  const is = after.hosts.get(host);
  if (!is || groups.some((group) => !is.groups.includes(group)) || vars.some(([name, value]) => is.vars.get(name) !== value)) return false;
  const old = before.hosts.get(host);
  if (is.groups.some((group) => group !== 'ungrouped' && !groups.includes(group) && !old?.groups.includes(group))) return false;
  const own = new Map([...(old?.vars ?? [])].filter(([name]) => !vars.some(([each]) => each === name)));
  const left = new Map([...is.vars].filter(([name]) => !vars.some(([each]) => each === name)));
  return same(own, left) && rest(before, host, groups) === rest(after, host, groups);
}

const same = (a: Dict, b: Dict): boolean => JSON.stringify(toPlain(a, true)) === JSON.stringify(toPlain(b, true));

/** All that an inventory says but of one host and that it may have brought groups along. */
function rest({ hosts, groups }: Inventory, host: string, brought: readonly string[]): string {
  const others = [...hosts.values()].filter(({ name }) => name !== host);
  const lists = [...groups.values()].map(({ name, hosts, children, vars }) => [name, hosts.filter((each) => each !== host), children.filter((child) => !brought.includes(child)), toPlain(vars, true)] as const);
  const telling = lists.filter(([name, members, children, vars]) => !brought.includes(name) || members.length + children.length + Object.keys(vars as object).length > 0);
  return JSON.stringify([others.map(({ name, groups, vars }) => [name, groups, toPlain(vars, true)]), telling.sort(([a], [b]) => (a < b ? -1 : 1))]);
}
