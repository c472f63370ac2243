import type { HostVars } from './insert_yaml.js';

/**
 * Writes a host into an INI inventory: as the last of its section, or into a new one at the end. What is there stays as
 * it is; a variable the host has on its own line with another value gets the new one in its place.
 * @param group where it shall be a member; undefined is where hosts of no group stand
 * @returns the new text; whether it means what was wanted is for the caller to see
 */
export function insertIni(text: string, host: string, group: string | undefined, vars: HostVars): string {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const own = find(lines).find((each) => each.host === host);
  const section = group ?? 'ungrouped';
  const isMember = find(lines).some((each) => each.host === host && each.section === section) || (group === undefined && own !== undefined);
  if (own !== undefined) lines[own.line] = vars.reduce(withVar, lines[own.line]!);
  if (!isMember) add(lines, section, group === undefined, [host, ...(own === undefined ? vars.map(([name, value]) => `${name}=${written(value)}`) : [])].join(' '));
  return `${lines.join('\n')}\n`;
}

const HEADER = /^\s*\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$/;
const NOTHING = /^\s*(?:[#;].*)?$/;

/** Lines that name hosts. */
function find(lines: readonly string[]): { line: number; host: string; section: string }[] {
  let section: string | undefined = 'ungrouped';
  return lines.flatMap((text, line) => {
    const header = HEADER.exec(text);
    if (header) section = header[2] === undefined || header[2] === 'hosts' ? header[1]! : undefined;
    else if (section !== undefined && !NOTHING.test(text)) return [{ line, host: /^\s*(\S+)/.exec(text)![1]!, section }];
    return [];
  });
}

function withVar(line: string, [name, value]: HostVars[number]): string {
  const there = new RegExp(`(\\s${name}=)(?:"(?:\\\\.|[^"\\\\])*"|'[^']*'|\\\\.|[^\\s"'#])*`);
  if (there.test(line)) return line.replace(there, (_, lead: string) => lead + written(value));
  const [, body, comment] = /^(.*?)(\s+#.*)?$/.exec(line)!;
  return `${body!.trimEnd()} ${name}=${written(value)}${comment ?? ''}`;
}

function add(lines: string[], section: string, loose: boolean, line: string): void {
  const members = find(lines).filter((each) => each.section === section);
  if (members.length > 0) return void lines.splice(members.at(-1)!.line + 1, 0, line);
  const header = lines.findIndex((text) => HEADER.exec(text)?.[1] === section && [undefined, 'hosts'].includes(HEADER.exec(text)![2]));
  if (header >= 0) return void lines.splice(header + 1, 0, line);
  if (!loose) return void lines.push(...(lines.length > 0 && lines.at(-1)!.trim() !== '' ? [''] : []), `[${section}]`, line);
  // Before the first section, and before the comment that stands upon it.
  let at = lines.findIndex((text) => HEADER.test(text));
  if (at < 0) return void lines.push(line);
  while (at > 0 && /^\s*[#;]/.test(lines[at - 1]!)) at--;
  lines.splice(at, 0, line, '');
}

/** Words are split as a shell does, then read as Python's literals. */
function written(value: string | number): string {
  return /^[\w./:~@%+-]+$/.test(String(value)) ? String(value) : `"${String(value).replace(/["\\]/g, '\\$&')}"`;
}
