/** Regular expressions of Python's `re` as the editing modules use them, translated to JavaScript's. */
import { ModuleError } from './module.js';

export interface Flags {
  /** `^` and `$` match at every line. */
  multiline?: boolean;
  /** `.` matches newlines too. */
  dotall?: boolean;
}

/** Escapes that mean the same in both languages, besides escaped punctuation. */
const SAME = new Set('dDsSwWbBnrtfv');

/**
 * Compiles a pattern of Python's `re` (its documentation: "Regular Expression Syntax").
 * @param what the parameter it comes from, for messages
 * @throws ModuleError on a wrong pattern and on what JavaScript cannot do
 */
export function compile(pattern: string, what: string, flags: Flags = {}): RegExp {
  const wrong = (why: string): never => {
    throw new ModuleError(`${what} is no usable regular expression: ${why}: ${pattern}`);
  };
  let { multiline = false, dotall = false } = flags;
  let ignoreCase = false;
  const inline = /^\(\?([aimsux]+)\)/.exec(pattern);
  if (inline) {
    if (inline[1]!.includes('x')) wrong('the flag x is not supported');
    multiline ||= inline[1]!.includes('m');
    dotall ||= inline[1]!.includes('s');
    ignoreCase = inline[1]!.includes('i');
  }
  let out = '';
  let inClass = false;
  for (let i = inline?.[0].length ?? 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    const rest = pattern.slice(i);
    if (char === '\\') {
      const next = pattern[++i] ?? wrong('a backslash ends it');
      if (next === 'A' && !inClass) out += '(?<![^])';
      else if (next === 'Z' && !inClass) out += '(?![^])';
      else if (next === 'a') out += '\\x07';
      else if (/[1-9]/.test(next) || SAME.has(next)) out += `\\${next}`;
      else if (next === '0') out += '\\x00';
      else if (next === 'x' || next === 'u') out += `\\${next}`;
      else if (/[A-Za-z]/.test(next)) wrong(`there is no escape \\${next}`);
      else out += escaped(next);
    } else if (inClass) {
      if (char === ']') inClass = false;
      // JavaScript's v and u modes want these escaped inside a class.
      out += char === '[' ? '\\[' : char;
    } else if (char === '[') {
      inClass = true;
      out += char;
      if (pattern[i + 1] === '^') out += pattern[++i];
      if (pattern[i + 1] === ']') {
        out += '\\]';
        i++;
      }
    } else if (char === '^') out += multiline ? '(?<![^\\n])' : '(?<![^])';
    else if (char === '$') out += multiline ? '(?![^\\n])' : '(?=\\n?(?![^]))';
    else if (char === '.') out += dotall ? '[^]' : '[^\\n]';
    else if (rest.startsWith('(?P<')) {
      out += '(?<';
      i += 3;
    } else if (rest.startsWith('(?P=')) {
      const name = /^\(\?P=(\w+)\)/.exec(rest) ?? wrong('(?P= is not closed');
      out += `\\k<${name[1]}>`;
      i += name[0].length - 1;
    } else if (rest.startsWith('(?#')) i += rest.indexOf(')');
    else if (/^\(\?(?:>|\(|[a-z]+[:-])/.test(rest)) wrong(`${rest.slice(0, 3)} is not supported`);
    else if (char === '{' && !/^\{\d*,?\d*\}/.test(rest)) out += '\\{';
    else if (/^\{,\d+\}/.test(rest)) {
      out += '{0';
    } else if (char === '}' && !/\{\d*,?\d*$/.test(pattern.slice(0, i))) out += '\\}';
    else if (char === ']') out += '\\]';
    else if (/^[*+?}]\+/.test(rest)) wrong('possessive quantifiers are not supported');
    else out += char;
  }
  try {
    return new RegExp(out, ignoreCase ? 'diu' : 'du');
  } catch (error) {
    return wrong((error as Error).message.replace(/^Invalid regular expression: /, ''));
  }
}

/** Escaped punctuation as the u mode takes it. */
function escaped(char: string): string {
  if (/[\^$\\.*+?()[\]{}|/]/.test(char)) return `\\${char}`;
  return char === '-' ? '\\x2d' : char;
}

/** Python's `match.expand`: `\1`, `\g<1>`, `\g<name>`, `\n` and the like. A group that took no part gives nothing. */
export function expand(match: RegExpExecArray, template: string, what: string): string {
  return template.replace(/\\(?:g<(\w+)>|([1-9]\d?)|(.)|$)/gs, (whole, named: string | undefined, number: string | undefined, char: string | undefined) => {
    const group = named ?? number;
    if (group !== undefined) {
      if (/^\d+$/.test(group)) {
        if (Number(group) >= match.length) throw new ModuleError(`${what} refers to group ${group}, which the regular expression does not have`);
        return match[Number(group)] ?? '';
      }
      if (match.groups === undefined || !(group in match.groups)) throw new ModuleError(`${what} refers to group "${group}", which the regular expression does not have`);
      return match.groups[group] ?? '';
    }
    const plain = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07', b: '\b', '0': '\0', '\\': '\\' }[char ?? ''];
    if (plain !== undefined) return plain;
    if (char === undefined || /[A-Za-z]/.test(char)) throw new ModuleError(`${what} has a wrong escape ${whole}; a backslash is written \\\\`);
    return whole;
  });
}
