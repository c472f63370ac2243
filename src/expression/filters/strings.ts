/** Text. */
import { trimmedEnd } from '../../value/text.js';
import type { Value } from '../../value/value.js';
import { percentFormat } from '../format.js';
import { capitalize, replaceText, splitText, strip } from '../methods.js';
import { asInt, characters, isInt, iterate, keyOf, read, str, truthy } from '../python.js';
import { table } from '../registry.js';
import { attributePath } from '../access.js';
import { defined, fail, type Result } from '../undefined.js';

/** Decorations of the `comment` filter: the line's own sign, and what stands before and behind. */
const COMMENTS: { [style: string]: { decoration: string; beginning?: string; end?: string } } = {
  plain: { decoration: '# ' },
  erlang: { decoration: '% ' },
  c: { decoration: '// ' },
  cblock: { beginning: '/*', decoration: ' * ', end: ' */' },
  xml: { beginning: '<!--', decoration: ' - ', end: '-->' },
};

export const STRINGS = table<Result>({
  'upper(s)': (_, s) => str(s).toUpperCase(),
  'lower(s)': (_, s) => str(s).toLowerCase(),
  'capitalize(s)': (_, s) => capitalize(str(s)),
  'title(s)': (_, s) => str(s).split(/([-\s({[<]+)/).map((part) => (part === '' ? '' : part[0]!.toUpperCase() + part.slice(1).toLowerCase())).join(''),
  'trim(value, chars=null)': (_, value, chars) => strip(str(value), chars, true, true),
  'replace(s, old, new, count=null)': (_, s, old, by, count) => replaceText(str(s), str(old), str(by), count === null ? -1 : asInt(count, 'count')),
  'split(value, sep=null, maxsplit=-1)': (_, value, separator, limit) => splitText(str(value), separator, asInt(limit, 'maxsplit')),
  'join(value, d="", attribute=null)': (_, value, separator, attribute) =>
    iterate(value).map((member) => str(attribute === null ? member : defined(attributePath(member, attribute)))).join(str(separator)),
  'format(value, *args, **kwargs)': (_, value, args: Value[], kwargs: Map<Value, Value>) => {
    if (args.length > 0 && kwargs.size > 0) fail('format takes either positional or named arguments', 'drop one kind');
    return percentFormat(str(value), kwargs.size > 0 ? kwargs : args, true);
  },
  'center(value, width=80)': (_, value, width) => {
    const text = str(value);
    const gap = Math.max(0, asInt(width, 'width') - characters(text).length);
    const before = Math.floor(gap / 2) + (gap & asInt(width, 'width') & 1);
    return ' '.repeat(before) + text + ' '.repeat(gap - before);
  },
  'indent(s, width=4, first=false, blank=false)': (_, s, width, first, blank) => {
    const pad = isInt(read(width)) ? ' '.repeat(asInt(width, 'width')) : str(width);
    const lines = str(s).split('\n');
    return lines.map((line, i) => ((i === 0 ? truthy(first) : true) && (line !== '' || truthy(blank)) ? pad + line : line)).join('\n');
  },
  'truncate(s, length=255, killwords=false, end="...", leeway=5)': (_, s, length, killwords, end, leeway) => {
    const all = characters(str(s));
    const limit = asInt(length, 'length');
    if (all.length <= limit + asInt(leeway, 'leeway')) return all.join('');
    const cut = all.slice(0, Math.max(0, limit - characters(str(end)).length)).join('');
    const atSpace = cut.lastIndexOf(' ');
    return (truthy(killwords) || atSpace < 0 ? cut : cut.slice(0, atSpace)) + str(end);
  },
  'wordcount(s)': (_, s) => str(s).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
  'wordwrap(s, width=79, break_long_words=true, wrapstring="\\n")': (_, s, width, breakLong, by) =>
    str(s).split(/\r\n|\n/).map((line) => wrap(line, asInt(width, 'width'), truthy(breakLong)).join(str(by))).join(str(by)),
  'escape|e|forceescape(s)': (_, s) => escapeHtml(str(s)),
  'urlize(value, trim_url_limit=null, nofollow=false, target=null, rel=null, extra_schemes=null)': (_, value, limit, nofollow, target, rel, schemes) => {
    const rels = [...new Set(['noopener', ...(truthy(nofollow) ? ['nofollow'] : []), ...(rel === null ? [] : str(rel).split(/\s+/))])].sort();
    return urlize(str(value), limit === null ? undefined : asInt(limit, 'trim_url_limit'), rels.join(' '), target === null ? undefined : str(target), schemes === null ? [] : iterate(schemes).map(str));
  },
  'striptags(value)': (_, value) => withoutTags(str(value)).split(/\s+/).filter((word) => word !== '').join(' '),
  'quote(value)': (_, value) => {
    const text = value === null ? '' : str(value);
    return text !== '' && /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
  },
  'comment(text, style="plain", **kwargs)': (_, text, style, kwargs: Map<Value, Value>) => {
    const known = COMMENTS[str(style)] ?? fail(`comment knows no style "${str(style)}"`, `it knows ${Object.keys(COMMENTS).join(', ')}`);
    const option = (name: string, fallback: string) => (kwargs.has(name) ? str(kwargs.get(keyOf(name))!) : fallback);
    const newline = option('newline', '\n');
    const decoration = option('decoration', known.decoration);
    const prefix = option('prefix', decoration.trimEnd());
    const postfix = option('postfix', decoration.trimEnd());
    const times = (name: string) => asInt(kwargs.get(name) ?? 1, name);
    const [beginning, end] = [option('beginning', known.beginning ?? ''), option('end', known.end ?? '')];
    const before = prefix === '' ? '' : (prefix === newline ? newline : prefix + newline).repeat(Math.max(0, times('prefix_count')));
    const body = (decoration + str(text).replaceAll(newline, newline + decoration)).replaceAll(decoration + newline, decoration.trimEnd() + newline);
    return `${beginning === '' ? '' : beginning + newline}${before}${body}${(newline + postfix).repeat(Math.max(0, times('postfix_count')))}${end === '' ? '' : newline + end}`;
  },
});

/** Without `<!-- … -->` and `<…>`; what nothing closes stays. */
function withoutTags(text: string): string {
  let kept = '';
  let from = 0;
  let comments = true;
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', from)) {
    let end = comments && text.startsWith('<!--', at) ? text.indexOf('-->', at + 4) + 2 : 1;
    // Once nothing closes a comment, nothing behind closes another.
    if (end === 1 && text.startsWith('<!--', at)) comments = false;
    if (end === 1) end = text.indexOf('>', at);
    if (end < 0) break;
    kept += text.slice(from, at);
    from = end + 1;
  }
  return kept + text.slice(from);
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll("'", '&#39;').replaceAll('"', '&#34;');
}

/** Addresses in a text as HTML links (`urlize` of jinja2/utils.py): http and https, www, names with a common ending, mail. */
function urlize(text: string, limit: number | undefined, rel: string, target: string | undefined, schemes: string[]): string {
  const attributes = `${rel === '' ? '' : ` rel="${escapeHtml(rel)}"`}${target === undefined ? '' : ` target="${escapeHtml(target)}"`}`;
  const shown = (url: string) => (limit !== undefined && characters(url).length > limit ? `${characters(url).slice(0, limit).join('')}...` : url);
  return escapeHtml(text)
    .split(/(\s+)/)
    .map((word) => {
      const [, head, rest] = /^((?:[(<]|&lt;)*)([^]*)$/.exec(word)!;
      let middle = rest!;
      for (let length = -1; length !== middle.length; ) {
        length = middle.length;
        middle = trimmedEnd(middle, ')>.,\n');
        if (middle.endsWith('&gt;')) middle = middle.slice(0, -4);
      }
      let tail = rest!.slice(middle.length);
      // What is bracketed inside keeps its closing brackets.
      for (const [open, close] of [['(', ')'], ['<', '>'], ['&lt;', '&gt;']] as const) {
        for (let missing = middle.split(open).length - middle.split(close).length; missing > 0 && tail.includes(close); missing--) {
          const end = tail.indexOf(close) + close.length;
          middle += tail.slice(0, end);
          tail = tail.slice(end);
        }
      }
      let link: string | undefined;
      if (/^(?:https?:\/\/|www\.)[\w-]+(?:\.[\w-]+)+|^(?:https?:\/\/)?(?:[\w-]+\.)+(?:com|net|int|edu|gov|org|info|mil)(?:[:/]\S*)?$/i.test(middle) || /^https?:\/\//.test(middle)) {
        link = `<a href="${/^https?:\/\//.test(middle) ? middle : `https://${middle}`}"${attributes}>${shown(middle)}</a>`;
      } else if (/^mailto:\S+@\w[\w.-]*\.\w+$/.test(middle)) link = `<a href="${middle}">${middle.slice(7)}</a>`;
      else if (/^\S+@\w[\w.-]*\.\w+$/.test(middle) && !middle.startsWith('www.') && !middle.includes(':')) link = `<a href="mailto:${middle}">${middle}</a>`;
      else if (schemes.some((scheme) => middle.startsWith(scheme) && middle !== scheme)) link = `<a href="${middle}"${attributes}>${middle}</a>`;
      return link === undefined ? word : head + link + tail;
    })
    .join('');
}

function wrap(line: string, width: number, breakLong: boolean): string[] {
  const lines: string[] = [];
  let current = '';
  for (let word of line.split(/(\s+)/)) {
    if (current.length + word.length <= width) {
      current += word;
      continue;
    }
    if (/^\s+$/.test(word)) {
      lines.push(current);
      current = '';
      continue;
    }
    if (current.trim() !== '') lines.push(current.trimEnd());
    current = '';
    while (breakLong && word.length > width) {
      lines.push(word.slice(0, width));
      word = word.slice(width);
    }
    current = word;
  }
  lines.push(current.trimEnd());
  return lines;
}
