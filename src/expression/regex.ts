/** Python's `re` in JavaScript: the pattern is translated, what has no counterpart is refused. */
import { fail } from './undefined.js';

const cache = new Map<string, RegExp>();
const MAX_CACHED = 1000;

/** @param flags any of `i`, `m`, `s`, `x`; always global with indices left to the caller */
export function pythonRegex(pattern: string, flags = ''): RegExp {
  const key = `${flags}/${pattern}`;
  let regex = cache.get(key);
  if (!regex) {
    regex = translate(pattern, flags);
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(key, regex);
  }
  regex.lastIndex = 0;
  return regex;
}

function translate(pattern: string, flags: string): RegExp {
  const on = new Set(flags);
  let source = pattern;
  // Global inline flags stand at the start: (?i)(?ms)
  for (let inline = /^\(\?([aiLmsux]+)\)/.exec(source); inline; inline = /^\(\?([aiLmsux]+)\)/.exec(source)) {
    for (const flag of inline[1]!) on.add(flag);
    source = source.slice(inline[0].length);
  }
  if (on.has('L')) fail('the regex flag L has no counterpart', 'leave it out');
  const verbose = on.has('x');
  let out = '';
  let inSet = false;
  for (let i = 0; i < source.length; i++) {
    const character = source[i]!;
    if (character === '\\') {
      const next = source[++i];
      if (next === undefined) return fail(`the regex "${pattern}" ends in a backslash`, 'double it');
      if (next === 'A' && !inSet) out += '(?<![^])';
      else if (next === 'Z' && !inSet) out += '(?![^])';
      else if (next === 'a') out += '\\x07';
      else if (next === 'U' && /^[\da-fA-F]{8}/.test(source.slice(i + 1))) {
        out += `\\u{${source.slice(i + 1, i + 9).replace(/^0+(?=.)/, '')}}`;
        i += 8;
      } else if (next === 'u' && /^[\da-fA-F]{4}/.test(source.slice(i + 1))) out += '\\u';
      else if (next === 'w') out += inSet ? '\\p{L}\\p{N}_' : '[\\p{L}\\p{N}_]';
      else if (next === 'W' && !inSet) out += '[^\\p{L}\\p{N}_]';
      else if (next === 'd') out += '\\p{Nd}';
      else if (next === 'D') out += '\\P{Nd}';
      else if (next === '0') {
        const octal = /^0[0-7]{0,2}/.exec(source.slice(i))![0];
        out += `\\x${parseInt(octal, 8).toString(16).padStart(2, '0')}`;
        i += octal.length - 1;
      } else if (/[a-zA-Z]/.test(next)) {
        if (!/[bBdDsSwWnrtfvxu]/.test(next)) return fail(`bad escape \\${next} in the regex "${pattern}"`, 'remove the backslash');
        out += `\\${next}`;
      } else if (/\d/.test(next)) out += `\\${next}`;
      else out += /[\^$\\.*+?()[\]{}|/-]/.test(next) && (inSet || next !== '-') ? `\\${next}` : next;
      continue;
    }
    if (inSet) {
      if (character === ']') inSet = false;
      else if (character === '[') {
        out += '\\[';
        continue;
      }
      out += /[{}()|/]/.test(character) ? `\\${character}` : character;
      continue;
    }
    if (character === '[') {
      inSet = true;
      out += '[';
      if (source[i + 1] === '^') {
        out += '^';
        i++;
      }
      // A bracket right at the start is a member in Python.
      if (source[i + 1] === ']') {
        out += '\\]';
        i++;
      }
    } else if (character === '(' && source[i + 1] === '?') {
      const rest = source.slice(i);
      let special: RegExpExecArray | null;
      if ((special = /^\(\?P<(\w+)>/.exec(rest))) out += `(?<${special[1]}>`;
      else if ((special = /^\(\?P=(\w+)\)/.exec(rest))) out += `\\k<${special[1]}>`;
      else if ((special = /^\(\?#[^)]*\)/.exec(rest))) out += '';
      else if ((special = /^\(\?(?::|=|!|<=|<!)/.exec(rest))) out += special[0];
      else if (/^\(\?\(/.test(rest)) return fail(`the regex "${pattern}" has a conditional group`, 'write two regexes');
      else if (/^\(\?>/.test(rest)) return fail(`the regex "${pattern}" has an atomic group`, 'write an ordinary group');
      else if (/^\(\?[aiLmsux-]+:/.test(rest)) return fail(`the regex "${pattern}" sets flags for a part of it`, 'set them for the whole: (?i) at the start');
      else if (/^\(\?[aiLmsux]+\)/.test(rest)) return fail(`the regex "${pattern}" sets flags not at its start`, 'move them to the start');
      else return fail(`unknown extension ${rest.slice(0, 3)} in the regex "${pattern}"`, 'correct the group');
      i += special[0].length - 1;
    } else if (character === '.') out += on.has('s') ? '[^]' : '[^\\n]';
    // To Python only \n ends a line; to JavaScript \r and two others do too.
    else if (character === '^') out += on.has('m') ? '(?<![^\\n])' : '(?<![^])';
    else if (character === '$') out += on.has('m') ? '(?![^\\n])' : '(?=\\n?(?![^]))';
    else if (character === '{' && !/^\{\d*(?:,\d*)?\}/.test(source.slice(i))) out += '\\{';
    else if (character === '{') {
      const counts = /^\{(\d*)(,\d*)?\}/.exec(source.slice(i))!;
      if (counts[0] === '{}' || counts[0] === '{,}') out += counts[0].replace('{', '\\{').replace('}', '\\}');
      else out += `{${counts[1] === '' ? '0' : counts[1]}${counts[2] ?? ''}}`;
      i += counts[0].length - 1;
      if (source[i + 1] === '+') return possessive(pattern);
    } else if (character === '}') out += '\\}';
    else if (character === ']') out += '\\]';
    else if (character === '/') out += '\\/';
    else if (verbose && /\s/.test(character)) continue;
    else if (verbose && character === '#') {
      const end = source.indexOf('\n', i);
      i = end < 0 ? source.length : end;
    } else if (/[*+?]/.test(character) && source[i + 1] === '+') return possessive(pattern);
    else out += character;
  }
  try {
    const regex = new RegExp(out, on.has('i') ? 'giu' : 'gu');
    // It is compiled at its first use, and may then prove too large.
    regex.test('');
    return regex;
  } catch (error) {
    return fail(`the regex "${pattern}" is not understood: ${(error as Error).message.replace(/^.*: /, '').toLowerCase()}`, 'correct it, or write it more simply');
  }
}

function possessive(pattern: string): never {
  return fail(`the regex "${pattern}" has a possessive quantifier`, 'drop the second "+"');
}

/** A replacement with Python's references (`\1`, `\g<name>`, `\g<0>`, `\n`). */
export function replacement(template: string): (match: RegExpExecArray) => string {
  const parts: (string | { group: string })[] = [];
  const pattern = /\\(?:g<(\w+)>|([1-9]\d?)|(0[0-7]{0,2})|([^]))/g;
  let at = 0;
  for (let found = pattern.exec(template); found; found = pattern.exec(template)) {
    parts.push(template.slice(at, found.index));
    const [whole, name, number, octal, letter] = found;
    if (name !== undefined || number !== undefined) parts.push({ group: name ?? number! });
    else if (octal !== undefined) parts.push(String.fromCharCode(parseInt(octal, 8)));
    else {
      const escapes: { [letter: string]: string } = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\\': '\\' };
      const plain = escapes[letter!];
      if (plain === undefined && /[a-zA-Z]/.test(letter!)) fail(`bad escape ${whole} in the replacement "${template}"`, 'double the backslash');
      parts.push(plain ?? whole);
    }
    at = pattern.lastIndex;
  }
  parts.push(template.slice(at));
  return (match) => parts.map((part) => (typeof part === 'string' ? part : groupOf(match, part.group) ?? '')).join('');
}

/** A group by number or name; undefined when it took no part. */
export function groupOf(match: RegExpExecArray, group: string): string | undefined {
  if (/^\d+$/.test(group)) {
    if (Number(group) >= match.length) fail(`the regex has no group ${group}`, `it has ${match.length - 1}`);
    return match[Number(group)];
  }
  if (!match.groups || !(group in match.groups)) fail(`the regex has no group "${group}"`, 'name one with (?P<name>…)');
  return match.groups![group];
}

/** `re.sub`. @param count 0 replaces all */
export function substitute(regex: RegExp, text: string, by: (match: RegExpExecArray) => string, count = 0): string {
  let out = '';
  let at = 0;
  let done = 0;
  regex.lastIndex = 0;
  for (let match = regex.exec(text); match && (count === 0 || done < count); match = regex.exec(text)) {
    out += text.slice(at, match.index) + by(match);
    at = match.index + match[0].length;
    done++;
    if (match[0] === '') regex.lastIndex = match.index + (text.codePointAt(match.index)! > 0xffff ? 2 : 1);
  }
  return out + text.slice(at);
}

/** `re.escape`. */
export function escapeRegex(text: string): string {
  return text.replace(/[()[\]{}?*+\-|^$\\.&~# \t\n\r\v\f]/g, '\\$&');
}
