import { ContentError, didYouMean } from '../value/errors.js';
import type { Origin } from '../value/value.js';
import { addChild, ensureGroup, ensureHost, join, setVar } from './graph.js';
import { parseLiteral } from './literal.js';
import type { Loading } from './load.js';
import { expandHost } from './ranges.js';

/**
 * Reads an INI inventory into what is being loaded, by the rules of Ansible's ini plugin: `[group]`,
 * `[group:children]`, `[group:vars]`, hosts before any section ungrouped, `#` and `;` comments.
 */
export function readIni(text: string, file: string, loading: Loading): void {
  const { inventory } = loading;
  let group = ensureGroup(inventory, 'ungrouped');
  let kind: 'hosts' | 'children' | 'vars' = 'hosts';
  let seenVars = new Set<string>();

  text.replace(/^\uFEFF/, '').split(/\r?\n/).forEach((raw, number) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) return;
    const start = raw.length - raw.trimStart().length;
    const origin: Origin = { file, line: number + 1, column: start + 1 };

    if (line.startsWith('[') && !isHostLine(line)) {
      const section = /^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$/.exec(line);
      if (!section) throw new ContentError(`"${line}" is no section`, origin, 'a section is [group], [group:children] or [group:vars]');
      const [, name, state = 'hosts'] = section as unknown as [string, string, string | undefined];
      if (state !== 'hosts' && state !== 'children' && state !== 'vars') {
        throw new ContentError(`section "[${name}:${state}]" has the unknown kind "${state}"`, origin, didYouMean(state, ['children', 'vars', 'hosts']) ?? 'kinds are children, vars and hosts');
      }
      kind = state;
      group = ensureGroup(inventory, name);
      if (kind === 'vars') loading.mention(name, origin, `section "[${name}:vars]" is of`);
      else loading.declare(name);
      seenVars = new Set();
    } else if (kind === 'vars') {
      const equals = line.indexOf('=');
      const name = line.slice(0, equals).trim();
      if (equals < 1) throw new ContentError(`"${line}" is no variable`, origin, 'under [group:vars] each line is name=value');
      if (seenVars.has(name)) throw new ContentError(`"${name}" is written twice in [${group.name}:vars]`, origin, 'remove one of the two');
      seenVars.add(name);
      const value = line.slice(equals + 1);
      const valueOrigin = { ...origin, column: start + equals + 2 + (value.length - value.trimStart().length) };
      setVar(group, name, parseLiteral(value.trim(), valueOrigin), valueOrigin);
    } else if (kind === 'children') {
      const child = /^([^:\]\s]+)\s*(?:#[^]*)?$/.exec(line)?.[1];
      if (child === undefined) throw new ContentError(`"${line}" is no group name`, origin, `under [${group.name}:children] each line is one group`);
      addChild(inventory, group, ensureGroup(inventory, child));
      loading.mention(child, origin, `section "[${group.name}:children]" names`);
      loading.edge(group.name, child, origin);
    } else {
      const [written, ...assignments] = splitWords(raw, origin);
      if (!written) return;
      const { names, port } = expandHost(written.text, origin);
      const hosts = names.map((name) => ensureHost(inventory, name, file));
      for (const host of hosts) {
        join(inventory, host, group);
        if (port !== undefined) setVar(host, 'ansible_port', port, origin);
      }
      const seen = new Set<string>();
      for (const { text: word, column } of assignments) {
        const equals = word.indexOf('=');
        const place = { ...origin, column };
        if (equals < 1) throw new ContentError(`"${word}" is no variable`, place, 'after a host name come name=value pairs; a value with spaces needs quotes');
        const name = word.slice(0, equals);
        if (seen.has(name)) throw new ContentError(`"${name}" is written twice for ${written.text}`, place, 'remove one of the two');
        seen.add(name);
        const value = parseLiteral(word.slice(equals + 1), place);
        for (const host of hosts) setVar(host, name, value, place);
      }
    }
  });
}

/** `[a:c].example.com` and `[fe80::1]:22` begin like sections; those end with the bracket or a comment. */
function isHostLine(line: string): boolean {
  return /^\[[^:\]]*:[^\]]*\][^\s#;]/.test(line) || /^\[(\w+:\w+(:\d+)?)\]\S/.test(line);
}

interface Word {
  text: string;
  column: number;
}

/** Words as Python's shlex splits them (POSIX rules, `#` comments), which is what Ansible uses. */
function splitWords(line: string, origin: Origin): Word[] {
  const words: Word[] = [];
  let word: Word | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (quote) {
      if (char === quote) quote = undefined;
      else if (char === '\\' && quote === '"' && /["\\]/.test(line[i + 1] ?? '')) word!.text += line[++i];
      else word!.text += char;
    } else if (/\s/.test(char)) {
      if (word) words.push(word);
      word = undefined;
    } else if (char === '#') {
      break;
    } else {
      word ??= { text: '', column: i + 1 };
      if (char === '"' || char === "'") quote = char;
      else if (char === '\\') word.text += line[++i] ?? '';
      else word.text += char;
    }
  }
  if (quote) throw new ContentError(`a quotation (${quote}) is not closed`, { ...origin, column: word!.column }, 'close it on the same line');
  if (word) words.push(word);
  return words;
}
