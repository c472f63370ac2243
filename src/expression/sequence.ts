/** The lookup `sequence`. What it refuses it refuses in Ansible's words, which playbooks compare. */
import type { Value } from '../value/value.js';
import { percentFormat } from './format.js';
import { numeric, parseInteger, read, str } from './python.js';
import { fail, Failure } from './undefined.js';

/** Members a sequence may have. */
const MOST = 1_000_000;

/** `start=1 end=4 format=web%02d`, or the short form `1-8/2:host%d`. */
function optionsOf(term: string): Map<string, string> {
  const short = /^(?:([^\s=/:-]+)-)?([^\s=/:-]+)(?:\/(-?[^\s=:]+))?(?::(\S.*))?$/.exec(term.trim());
  if (short) return new Map([['start', short[1]], ['end', short[2]], ['stride', short[3]], ['format', short[4]]].filter((one): one is [string, string] => one[1] !== undefined));
  const options = new Map([...term.matchAll(/(?<!\w)(\w+)=("[^"]*"|'[^']*'|\S+)/g)].map(([, key, value]): [string, string] => [key!, value!.replace(/^(["'])(.*)\1$/, '$2')]));
  const unknown = [...options.keys()].filter((name) => !['start', 'end', 'count', 'stride', 'format'].includes(name));
  if (unknown.length > 0) fail(`unrecognized arguments to with_sequence: [${unknown.map((name) => `'${name}'`).join(', ')}]`, 'it takes start, end, count, stride and format');
  return options;
}

/** @param given options by name, which hold for what the term does not say */
export function sequence(term: string | undefined, given: { [name: string]: Value }): string[] {
  const options = term === undefined ? new Map<string, string>() : optionsOf(term);
  const number = (name: string): number | undefined => {
    const value = options.get(name) ?? (given[name] === null ? undefined : read(given[name]!));
    if (value === undefined) return undefined;
    const found = typeof value === 'string' ? parseInteger(value, 0) : numeric(value);
    return found === undefined ? fail(`Invalid type for configuration option ${name}: "${str(value)}" is no whole number`) : Number(found);
  };
  const [start, stride, count] = [number('start') ?? 1, number('stride') ?? 1, number('count')];
  let end = number('end');
  if (count !== undefined && end !== undefined) fail("can't specify both count and end in with_sequence");
  if (count === undefined && end === undefined) fail('must specify count or end in with_sequence', 'write start=1 end=4');
  if (count === 0 || stride === 0) return [];
  end ??= start + (count! - 1) * stride;
  if (stride > 0 && end < start) fail('to count backwards make stride negative');
  if (stride < 0 && end > start) fail("to count forward don't make stride negative");
  const size = Math.floor((end - start) / stride) + 1;
  if (size > MOST) fail(`a sequence of more than ${MOST} members`, 'use a smaller one');
  const format = options.get('format') ?? (given['format'] === null ? undefined : str(given['format']!));
  return Array.from({ length: size }, (_, i) => {
    const member = start + i * stride;
    if (format === undefined) return String(member);
    try {
      return percentFormat(format, member);
    } catch (error) {
      throw error instanceof Failure ? new Failure(`bad formatting string: ${format}`, 'write a place for the number, as in host%02d') : error;
    }
  });
}
