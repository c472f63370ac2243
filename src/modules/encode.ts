/** Text in other character sets than UTF-8, as Python's str.encode writes it. */
import { ModuleError } from './module.js';

/** What windows-1252 has from 0x80 to 0x9f; nothing where there is no character. */
const WINDOWS_1252 = '€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ';

type Encoder = (text: string) => Buffer;

/** Characters a set of one byte each has, and their bytes. */
const tables = new Map<string, ReadonlyMap<string, number>>();

/** Of the Encoding Standard (encoding.spec.whatwg.org): those with more bytes than one for a character. */
const WIDE = /^(utf-|gb|big5|euc-|iso-2022|shift_jis|replacement|x-user-defined)/;

/**
 * How text becomes bytes of a character set: UTF-8, UTF-16, ASCII, Latin-1 and all others of one byte a character that
 * the Encoding Standard has; undefined for another.
 * @param name Python's name or the standard's; nothing is UTF-8
 */
export function encoderOf(name: string): Encoder | undefined {
  const label = name.trim().toLowerCase().replaceAll('_', '-');
  if (/^(|utf-?8)$/.test(label)) return (text) => Buffer.from(text);
  if (label === 'utf-8-sig') return (text) => Buffer.from(`\ufeff${text}`);
  const wide = /^utf-?16(?:-?(le|be))?$/.exec(label);
  if (wide) return (text) => (wide[1] === 'be' ? Buffer.from(text, 'utf16le').swap16() : Buffer.from(wide[1] ? text : `\ufeff${text}`, 'utf16le'));
  if (/^(us-)?ascii$/.test(label)) return narrow(name, (letter) => (letter < '\x80' ? letter.charCodeAt(0) : undefined));
  // What the standard calls so is windows-1252.
  if (/^(latin-?1|iso-?8859-1|l1)$/.test(label)) return narrow(name, (letter) => (letter.charCodeAt(0) < 256 && letter.length === 1 ? letter.charCodeAt(0) : undefined));
  const table = tableOf(label);
  return table && narrow(name, (letter) => table.get(letter));
}

function tableOf(label: string): ReadonlyMap<string, number> | undefined {
  const known = tables.get(label);
  if (known) return known;
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(label);
  } catch {
    return undefined;
  }
  if (WIDE.test(decoder.encoding)) return undefined;
  // Some releases of Node.js take windows-1252 for Latin-1.
  const letterOf = (byte: number) => (decoder.encoding === 'windows-1252' && byte >= 0x80 && byte < 0xa0 ? Array.from(WINDOWS_1252)[byte - 0x80]! : decoder.decode(Uint8Array.of(byte)));
  const table = new Map(Array.from({ length: 256 }, (_, byte) => [letterOf(byte), byte] as const));
  table.delete('\ufffd');
  tables.set(label, table);
  return table;
}

/** @throws ModuleError for a character that is not in the set */
function narrow(name: string, byteOf: (letter: string) => number | undefined): Encoder {
  return (text) =>
    Buffer.from(
      Array.from(text, (letter) => {
        const byte = byteOf(letter);
        if (byte === undefined) throw new ModuleError(`the character "${letter}" is not in ${name}`);
        return byte;
      }),
    );
}
