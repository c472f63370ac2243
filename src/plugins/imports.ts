/** What a Python text imports, as far as its text tells (Python's language reference, 7.11 "The import statement"). */
export interface Import {
  /** Dotted and absolute; of `from a import b` there are `a` and, beyond it, `a.b`, which may be a module or just a name in `a`. */
  name: string;
  /** Only if there is such a module: the last part may be a name within the one before. */
  maybe: boolean;
  /** It stands within something (a function, a `try`), where it may fail. */
  optional: boolean;
}

const STRING = /(?:'''|""")(?:\\[\s\S]|(?!'''|""")[^\\])*(?:'''|""")|'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"|#[^\n]*/g;
const FROM = /(^|[;:])([ \t]*)from[ \t]+(?![ \t])(\.*)(?!\.)(?:[ \t]*(?![ \t])([\w.]+))?[ \t]+import[ \t]*(\([^)]*\)|[^\n;]*)/gm;
const PLAIN = /(^|[;:])([ \t]*)import[ \t]+([^\n;]+)/gm;

/**
 * @param module dotted name of the module itself
 * @param isPackage the text is that of an `__init__.py`
 */
export function importsOf(text: string, module: string, isPackage: boolean): Import[] {
  // Line ends that a backslash hides, and what stands in strings and comments, would be in the way.
  const code = text.replace(/\\\r?\n/g, ' ').replace(STRING, (found) => (found.startsWith('#') ? '' : "''"));
  const found: Import[] = [];
  for (const [, begin, indent, dots, from, names] of code.matchAll(FROM)) {
    const base = dots === '' ? from : relative(module, isPackage, dots!.length, from ?? '');
    if (base === undefined || base === '') continue;
    const optional = begin !== '' || indent !== '';
    found.push({ name: base, maybe: false, optional });
    for (const name of listed(names!)) if (name !== '*') found.push({ name: `${base}.${name}`, maybe: true, optional });
  }
  for (const [, begin, indent, names] of code.matchAll(PLAIN) as Iterable<RegExpExecArray & string[]>) {
    for (const name of listed(names!)) found.push({ name, maybe: false, optional: begin !== '' || indent !== '' });
  }
  return found;
}

/** `a, b as c` without its new names. */
function listed(names: string): string[] {
  return names.replace(/[()]/g, '').split(',').map((each) => each.trim().split(/\s+/)[0]!).filter((name) => /^(?:[\w.]+|\*)$/.test(name));
}

/** `from ..a import b` within `x.y.z` begins at `x`. */
function relative(module: string, isPackage: boolean, dots: number, rest: string): string | undefined {
  const parts = module.split('.');
  const up = isPackage ? dots - 1 : dots;
  if (up > parts.length) return undefined;
  return [...parts.slice(0, parts.length - up), ...(rest === '' ? [] : [rest])].join('.');
}
