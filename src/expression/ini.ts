/** INI files as Python's `configparser` reads them. */
import { fail } from './undefined.js';

export interface IniOptions {
  delimiters?: readonly string[];
  /** Whether `Key` and `key` are two. */
  caseSensitive?: boolean;
  /** Whether a key may stand alone. */
  allowNoValue?: boolean;
  /** A section that the file's first lines belong to, for files without sections. */
  section?: string;
}

export type Ini = Map<string, Map<string, string | null>>;

/** Sections by name; those of `[DEFAULT]` are under that name and in no other. @throws Failure with the line */
export function parseIni(text: string, { delimiters = ['=', ':'], caseSensitive = true, allowNoValue = false, section }: IniOptions = {}): Ini {
  const sections: Ini = new Map();
  let current: Map<string, string | null> | undefined;
  let key: string | undefined;
  let indent = 0;
  if (section !== undefined) sections.set(section, (current = new Map()));
  text.split(/\r?\n/).forEach((line, i) => {
    const content = line.trim();
    if (content === '' || content.startsWith('#') || content.startsWith(';')) {
      // An empty line within a value of several lines is a part of it, unless it ends it.
      if (content === '' && key !== undefined && current!.get(key) !== null) current!.set(key, `${current!.get(key) ?? ''}\n`);
      return;
    }
    const depth = line.length - line.trimStart().length;
    if (key !== undefined && depth > indent) {
      current!.set(key, `${current!.get(key) ?? ''}\n${content}`);
      return;
    }
    const header = /^\[(.+)\]/.exec(content);
    if (header) {
      if (sections.has(header[1]!) && header[1] !== 'DEFAULT') fail(`line ${i + 1} of the INI text begins the section "${header[1]}" again`);
      sections.set(header[1]!, (current = sections.get(header[1]!) ?? new Map()));
      key = undefined;
      return;
    }
    if (!current) return fail(`line ${i + 1} of the INI text stands in no section`, 'begin it with [name]');
    const at = Math.min(...delimiters.map((one) => content.indexOf(one)).filter((one) => one > 0));
    if (!Number.isFinite(at) && !allowNoValue) return fail(`line ${i + 1} of the INI text has no value: ${content}`);
    const name = Number.isFinite(at) ? content.slice(0, at).trimEnd() : content;
    key = caseSensitive ? name : name.toLowerCase();
    indent = depth;
    if (current.has(key)) fail(`line ${i + 1} of the INI text sets "${key}" again`);
    const delimiter = delimiters.find((one) => content.startsWith(one, at));
    current.set(key, delimiter === undefined ? null : content.slice(at + delimiter.length).trim());
  });
  for (const values of sections.values()) for (const [name, value] of values) if (value !== null) values.set(name, value.trimEnd());
  return sections;
}

/** `%(name)s` in values, from their section or the defaults, and `%%` for `%`. */
export function interpolate(value: string, known: (name: string) => string | null | undefined, depth = 0): string {
  if (depth > 10) fail('values of the INI text refer to each other without end');
  return value.replace(/%(?:%|\(([^)]+)\)s|[^])/g, (whole, name: string | undefined) => {
    if (whole === '%%') return '%';
    if (name === undefined) return fail(`"%" must be followed by "%" or "(" in the INI value "${value}"`, 'give interpolation=false to take values as they are');
    return interpolate(known(name.toLowerCase()) ?? known(name) ?? fail(`the INI value "${value}" names "${name}", which is not there`), known, depth + 1);
  });
}
