/** Right spellings for those who write Jinja in a Handlebars template. */
import { ContentError } from '../value/errors.js';
import type { Origin } from '../value/value.js';

const statements: { [word: string]: string } = {
  if: '{{#if x}} … {{/if}}',
  elif: '{{else if x}}',
  else: '{{else}}',
  endif: '{{/if}}',
  for: '{{#each list as |item|}} … {{/each}}',
  endfor: '{{/each}}',
  set: '{{#with value as |name|}} … {{/with}}',
  include: '{{> name}}',
  raw: '{{{{raw}}}} … {{{{/raw}}}}',
  endraw: '{{{{/raw}}}}',
};

/** The error for a Jinja statement (`{% if x %}`) in the text between mustaches, if there is one. */
export function jinjaStatement(text: string): { offset: number; error: (origin: Origin) => ContentError } | undefined {
  const match = /\{%[-+]?\s*(if|elif|else|endif|for|endfor|set|include|raw|endraw|macro|block|extends|import|from)\b[^%]*%\}/.exec(text);
  if (!match) return undefined;
  const [written, word] = match as unknown as [string, string];
  const right = statements[word];
  return {
    offset: match.index,
    error: (origin) => new ContentError(`"${written}" is Jinja, and this is a Handlebars template`, origin, right ? `write ${right}` : 'name the file .j2 to have it rendered as Jinja'),
  };
}

/** A longer mustache is no slip of spelling, and searching it costs more than its length. */
const LONGEST = 400;

/** What to write instead of a mustache the parser refused. */
export function spelling(mustache: string): string | undefined {
  if (mustache.length > LONGEST) return undefined;
  const inner = mustache.replace(/^\{\{[#~^{]*\s*|\s*[~}]*\}\}$/g, '').trim();
  const filter = /^([\w.]+)\s*\|\s*(\w+)\s*(?:\((.*)\))?$/.exec(inner);
  if (filter) return `that is Jinja; write {{${[filter[2], filter[1], ...args(filter[3])].join(' ')}}}`;
  const lookup = /^lookup\(/.exec(inner);
  if (lookup) return 'lookups belong in YAML: give a variable the value {{ lookup(…) }} and name it here';
  const call = /^(\w+)\((.*)\)$/.exec(inner);
  if (call) return `that is Jinja; write {{${[call[1], ...args(call[2])].join(' ')}}}`;
  const index = /^([\w.]+)\[(?:(\d+)|['"]([^'"]+)['"])\](.*)$/.exec(inner);
  if (index) return `write {{${index[1]}.${/^\w+$/.test(index[3] ?? '') ? index[3] : `[${index[2] ?? index[3]}]`}${index[4]}}}`;
  const number = /([\w.]+\.)(\d+)(?=\s|\)|$)/.exec(inner);
  if (number) return `a number at the end of a path needs brackets: write ${number[1]}[${number[2]}]`;
  const comparison = /^(if\s+)?(\S+)\s*(==|!=|<=|>=|<|>|\+|-|\*|\/|%|~)\s*(\S+)$/.exec(inner);
  if (comparison) {
    const helper = { '==': 'eq', '!=': 'ne', '<=': 'le', '>=': 'ge', '<': 'lt', '>': 'gt', '+': 'add', '-': 'sub', '*': 'mul', '/': 'div', '%': 'mod', '~': 'concat' }[comparison[3]!];
    const use = `${helper} ${comparison[2]} ${comparison[4]}`;
    return comparison[1] ? `write {{#if (${use})}}` : `write {{${use}}}`;
  }
  const asked = /^(\S+) is (not )?(\w+)$/.exec(inner);
  if (asked) return `that is Jinja; write {{#${asked[2] ? 'unless' : 'if'} (${asked[3]} ${asked[1]})}} … {{/${asked[2] ? 'unless' : 'if'}}}`;
  const choice = /^(.+) if (.+) else (.+)$/.exec(inner);
  if (choice) return `that is Jinja; write {{#if ${choice[2]}}}${choice[1]}{{else}}${choice[3]}{{/if}}`;
  return inner.includes('|') ? 'filters are helpers here: write {{join names \', \'}} for {{ names | join(\', \') }}' : undefined;
}

/** `', ', default=x` as Handlebars takes it: `', ' default=x`. */
function args(text: string | undefined): string[] {
  return text?.match(/(?:[^,'"]|'[^']*'|"[^"]*")+/g)?.map((arg) => arg.trim()).filter(Boolean) ?? [];
}
