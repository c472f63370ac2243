import Handlebars from 'handlebars';
import { ContentError } from '../value/errors.js';
import type { Origin } from '../value/value.js';
import { spelling } from './hints.js';

/** Blocks, their branches and brackets nest no deeper. */
const DEEPEST = 200;

/** Handlebars' own parser, its errors with a place and the right spelling. */
export function parse(text: string, file: string): hbs.AST.Program {
  checkDepth(text, file);
  try {
    return Handlebars.parse(text);
  } catch (error) {
    throw explain(error as Error & { lineNumber?: number; column?: number }, text, file);
  }
}

/** The parser's time grows with the third power of the depth, the second of a word's length: what is beyond reason does not come to it. */
function checkDepth(text: string, file: string): void {
  let [blocks, branches, brackets, inside] = [0, 0, 0, false];
  for (const { 0: mark, index } of text.matchAll(/\{\{+~?\s*(?:[#^](?=[^}~])|\/|else\s+\w)?|\}\}|[()]|[^\s{}()]+/g)) {
    if (mark === '}}') inside = false;
    else if (mark.startsWith('{{')) {
      [inside, brackets] = [true, 0];
      if (/\w$/.test(mark)) branches++;
      else if (/[#^/]$/.test(mark)) [blocks, branches] = [blocks + (mark.endsWith('/') ? -1 : 1), 0];
    } else if (mark !== '(' && mark !== ')') {
      if (inside && mark.length >= 2000) throw new ContentError('a word inside {{ }} is longer than 2000 characters', originAt(text, index, file), 'keep long text in variables');
    } else if (inside) brackets += mark === '(' ? 1 : -1;
    if (Math.max(blocks, branches, brackets) > DEEPEST) throw new ContentError(`the template nests more than ${DEEPEST} deep`, originAt(text, index, file), 'close every {{#block}} with {{/block}}; move inner blocks into partials');
  }
}

function explain(error: Error & { lineNumber?: number; column?: number }, text: string, file: string): ContentError {
  if (error.lineNumber !== undefined) {
    const mismatch = /^(\S+) doesn't match (\S+)/.exec(error.message);
    const origin = { file, line: error.lineNumber, column: (error.column ?? 0) + 1 };
    return mismatch
      ? new ContentError(`{{#${mismatch[1]}}} is closed by {{/${mismatch[2]}}}`, origin, `close it with {{/${mismatch[1]}}}`)
      : new ContentError(error.message.replace(/ - \d+:\d+$/, ''), origin);
  }
  const [head = '', excerpt = '', pointer = '', expecting = ''] = error.message.split('\n');
  const line = Number(/line (\d+)/.exec(head)?.[1] ?? 1);
  const offset = place(text, excerpt, pointer.indexOf('^'), line);
  const got = /got '(\w+)'/.exec(expecting)?.[1];
  if (got === 'EOF') {
    const last = text.trimEnd();
    return new ContentError('the template ends inside a block or {{ }}', originAt(text, last.length, file), 'close every {{#block}} with {{/block}}');
  }
  const open = Math.max(text.lastIndexOf('{{', offset), 0);
  const close = text.indexOf('}}', offset);
  const mustache = text.slice(open, close < 0 ? undefined : close + 2);
  const what = got === 'OPEN_ENDBLOCK' || got === 'INVERSE' ? `${mustache} belongs to no block` : `cannot read ${mustache.length > 60 ? `${mustache.slice(0, 60)}…` : mustache}`;
  return new ContentError(what, originAt(text, open, file), spelling(mustache));
}

/** The parser tells only a line and an excerpt of 40 characters without line breaks, with a pointer below it. */
function place(text: string, excerpt: string, pointer: number, line: number): number {
  const offsets: number[] = [];
  for (let i = 0; i < text.length; i++) if (text[i] !== '\n') offsets.push(i);
  const flat = text.replaceAll('\n', '');
  const front = excerpt.startsWith('...') && !flat.includes(excerpt) ? 3 : 0;
  const wanted = excerpt.slice(front).replace(/\.\.\.$/, '');
  let best = 0;
  let [seen, reached] = [0, 1];
  for (let at = flat.indexOf(wanted); at >= 0; at = flat.indexOf(wanted, at + 1)) {
    const offset = offsets[Math.min(at + pointer - front, offsets.length - 1)] ?? 0;
    for (; seen < offset; seen++) if (text[seen] === '\n') reached++;
    if (reached > line) break;
    best = offset;
  }
  return best;
}

function originAt(text: string, offset: number, file: string): Origin {
  const lines = text.slice(0, offset).split('\n');
  return { file, line: lines.length, column: lines.at(-1)!.length + 1 };
}
