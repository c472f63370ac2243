import { ModuleError, type Output } from '../module.js';

/** The answers of the gathering script. */
export class Gathered {
  constructor(
    private readonly sections: ReadonlyMap<string, string>,
    private readonly contents: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** Text of a section; empty where it was not asked for or had nothing to say. */
  text(section: string): string {
    return this.sections.get(section) ?? '';
  }
  lines(section: string): string[] {
    return this.text(section).split('\n').filter((line) => line !== '');
  }
  has(section: string): boolean {
    return this.sections.has(section);
  }
  names(): Iterable<string> {
    return this.sections.keys();
  }
  /** Lines of a file; none where it is absent or may not be read. */
  file(path: string): readonly string[] {
    return this.contents.get(path) ?? [];
  }
  /** First line of a file, without blanks at its ends. */
  first(path: string): string | undefined {
    return this.contents.get(path)?.[0]?.trim();
  }
  /** Files below a folder with their paths cut off it. */
  below(folder: string): [string, string][] {
    return [...this.contents].filter(([path]) => path.startsWith(folder)).map(([path, lines]) => [path.slice(folder.length), lines[0]!.trim()]);
  }
  exists(path: string): boolean {
    return this.lines('existing').includes(path);
  }
}

/** @throws ModuleError when the answer is not whole */
export function gathered(output: Output): Gathered {
  const parts = output.stdout.split('\0');
  const sections = new Map<string, string>();
  for (let i = 1; i + 1 < parts.length; i += 2) sections.set(parts[i]!, parts[i + 1]!);
  if (!sections.has('end')) {
    throw new ModuleError('the host\'s facts are cut short', { rc: output.rc, stderr: output.stderr });
  }
  const contents = new Map<string, string[]>();
  for (const line of sections.get('files')!.split('\n')) {
    const match = /^(\/.*?):(.*)$/.exec(cutAliases(line));
    if (!match) continue;
    const path = match[1]!.replaceAll('\x01', ':');
    const lines = contents.get(path);
    if (lines) lines.push(match[2]!);
    else contents.set(path, [match[2]!]);
  }
  return new Gathered(sections, contents);
}

/** Names of devices in /sys may hold colons (`/sys/block/cciss:0/size`): hides them from the split at the first one. */
function cutAliases(line: string): string {
  return line.replace(/^\/sys\/(?:block|class\/net)\/[^/]*/, (start) => start.replaceAll(':', '\x01'));
}

/** Lines `NAME=value`, the value perhaps quoted, as os-release(5) has them. */
export function assignments(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const match = /^([A-Za-z_]\w*)\s*=\s*(?!\s)(.*)$/.exec(line.trim());
    if (match) found.set(match[1]!, match[2]!.replace(/^(["'])(.*)\1$/, '$2').replace(/\\(["$`\\])/g, '$1'));
  }
  return found;
}
