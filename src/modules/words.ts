/** Words of a command line: split as Python's shlex.split does, and put into shell text so that nothing but `$NAME` and `~` is looked at. */
import { join, quote, raw, type Sh } from '../shell/sh.js';
import { withoutEndSlashes } from '../value/text.js';

/**
 * Splits a command line by the rules of Python's `shlex.split` in POSIX mode: blanks separate, `'…'` is literal,
 * in `"…"` a backslash escapes only `"` and `\`, elsewhere it escapes any character; `#` is no comment.
 * @throws Error on an open quotation or a backslash at the end
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (/[ \t\r\n]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= '';
    if (char === '\\') {
      if (++i >= line.length) throw new Error(`a backslash ends the command with nothing behind it: ${line}`);
      word += line[i];
    } else if (char === "'" || char === '"') {
      const start = i;
      for (i++; line[i] !== char; i++) {
        if (i >= line.length) throw new Error(`a quotation opened at character ${start + 1} is not closed: ${line}`);
        if (char === '"' && line[i] === '\\' && (line[i + 1] === '"' || line[i + 1] === '\\')) i++;
        word += line[i];
      }
    } else word += char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * A word in which the host's environment replaces `$NAME` and `${NAME}` and a leading `~` or `~user` becomes that
 * home folder, as Python's `expandvars` and `expanduser` do: a name that is not set stays as it is written.
 */
export function expanding(word: string): Sh {
  const home = HOME.exec(word)?.[0] ?? '';
  const parts = word.slice(home.length).split(/(\$[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\})/);
  const text = parts.map((part, i) => {
    if (i % 2 === 0) return part === '' ? '' : quote(part);
    const name = part.replace(/[${}]/g, '');
    return `"\${${name}-\\${part.replace('}', '\\}')}}"`;
  });
  return raw(home + text.join('') || "''");
}

/** A path pattern as a shell word: `*`, `?` and `[…]` stay alive, a leading `~` is a home folder, all else is quoted. */
export function globbing(pattern: string): Sh {
  const home = HOME.exec(pattern)?.[0] ?? '';
  const parts = pattern.slice(home.length).split(/(\*|\?|\[[!\]]?[^\]/]*\])/);
  return raw(home + parts.map((part, i) => (i % 2 ? bracket(part) : part && quote(part))).join('') || "''");
}

/** Inside `[…]` only letters, digits and the few signs of ranges may stand unquoted. */
function bracket(glob: string): string {
  return /^(\*|\?|\[[!\]A-Za-z0-9_.,:=^-]*\])$/.test(glob) ? glob : quote(glob);
}

/** A home folder; the slash belongs to it, since a quoted one behind `~` would keep the shell from expanding it. */
const HOME = /^~[A-Za-z0-9_.-]*(?:\/|$)/;

/** Joins words by blanks. */
export function line(words: readonly Sh[]): Sh {
  return join(words, ' ');
}

/**
 * A path as a shell word: a leading `~` or `~user` is expanded by the host's shell, and one that begins with `$NAME` as the
 * host's environment has it (within a path that a host told, `$` is a character like others); none is taken for an option,
 * slashes at the end fall off (with one, `[ -L link/ ]` asks about the folder behind the link).
 * @throws RangeError on an empty path
 */
export function hostPath(written: string): Sh {
  if (written === '') throw new RangeError('a path is empty');
  const path = withoutEndSlashes(written);
  const home = HOME.exec(path)?.[0];
  if (home !== undefined) return raw(home + (path === home ? '' : quote(path.slice(home.length))));
  if (/^\$\{?[A-Za-z_]/.test(path)) return expanding(path);
  return raw(quote(path.startsWith('/') || path.startsWith('./') ? path : `./${path}`));
}
