/** How a template is written: what the `#jinja2:` line of a file, the template module and the template lookup may set. */
import { ContentError } from '../value/errors.js';
import type { Origin, Value } from '../value/value.js';
import type { LexOptions } from './lexer.js';

/** Options of templates by Jinja's names. */
export interface TemplateOptions {
  block_start_string?: string;
  block_end_string?: string;
  variable_start_string?: string;
  variable_end_string?: string;
  comment_start_string?: string;
  comment_end_string?: string;
  line_statement_prefix?: string;
  line_comment_prefix?: string;
  trim_blocks?: boolean;
  lstrip_blocks?: boolean;
}

const TEXTS = ['block_start_string', 'block_end_string', 'variable_start_string', 'variable_end_string', 'comment_start_string', 'comment_end_string', 'line_statement_prefix', 'line_comment_prefix'] as const;
const FLAGS = ['trim_blocks', 'lstrip_blocks'] as const;

/** Options among the arguments of a task or lookup; undefined where one is not literal. Others are passed over. */
export function templateOptions(given: ReadonlyMap<Value, Value>): TemplateOptions | undefined {
  const options: TemplateOptions = {};
  for (const name of TEXTS) {
    const value = given.get(name);
    if (typeof value === 'string') options[name] = value;
    else if (value !== undefined) return undefined;
  }
  for (const name of FLAGS) {
    const value = given.get(name);
    const flag = typeof value === 'boolean' ? value : /^(true|yes|on|1)$/i.test(String(value)) ? true : /^(false|no|off|0)$/i.test(String(value)) ? false : undefined;
    if (value !== undefined && flag === undefined) return undefined;
    if (flag !== undefined) options[name] = flag;
  }
  return options;
}

/** `lstrip_blocks: True, variable_start_string: '[['`, the rest of a template's first line. @throws ContentError */
export function headerOptions(header: string, origin: Origin): TemplateOptions {
  const options: TemplateOptions = {};
  for (const pair of header.split(',').filter((one) => one.trim() !== '')) {
    const [, name, value] = /^(\w+)\s*:\s*(?!\s)(.*)$/.exec(pair.trim()) ?? [];
    if (name === undefined || value === undefined) throw new ContentError(`failed to parse jinja2 override "${pair.trim()}"`, origin, 'give a name, a colon and the value: trim_blocks: False');
    const flag = FLAGS.find((one) => one === name);
    const text = TEXTS.find((one) => one === name);
    if (flag && /^(true|false)$/i.test(value)) options[flag] = /^true$/i.test(value);
    else if (text && /^(['"]).*\1$/.test(value)) options[text] = value.slice(1, -1);
    else throw new ContentError(flag || text ? `the #jinja2 line sets ${name} to ${value}` : `the #jinja2 line sets "${name}"`, origin, flag ? 'write True or False' : text ? 'write it in quotes' : `it can set ${[...FLAGS, ...TEXTS].join(', ')}`);
  }
  return options;
}

/** Options as the lexer takes them. @throws ContentError when marks could not be told apart */
export function lexOptions(given: TemplateOptions, origin: Origin): LexOptions {
  const options: LexOptions = {};
  for (const [kind, begin, end] of [['block', '{%', '%}'], ['variable', '{{', '}}'], ['comment', '{#', '#}']] as const) {
    const [from, to] = [given[`${kind}_start_string`], given[`${kind}_end_string`]];
    if (from === '' || to === '') throw new ContentError(`${kind}_${from === '' ? 'start' : 'end'}_string is empty`, origin, 'write what the template has there');
    if (from !== undefined || to !== undefined) options[kind] = [from ?? begin, to ?? end];
  }
  for (const [name, prefix] of [['lineStatement', given.line_statement_prefix], ['lineComment', given.line_comment_prefix]] as const) {
    if (prefix === '') throw new ContentError('a prefix of lines is empty', origin, 'write what such lines of the template begin with, or leave it out');
    if (prefix !== undefined) options[name] = prefix;
  }
  const begins = [options.block?.[0] ?? '{%', options.variable?.[0] ?? '{{', options.comment?.[0] ?? '{#'];
  if (new Set(begins).size < begins.length) throw new ContentError('blocks, variables and comments of the template begin alike', origin, 'give them different start strings');
  if (given.trim_blocks !== undefined) options.trimBlocks = given.trim_blocks;
  if (given.lstrip_blocks !== undefined) options.lstripBlocks = given.lstrip_blocks;
  return options;
}
