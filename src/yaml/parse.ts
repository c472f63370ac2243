import { COLLECTION_STYLE, EVENT_ID, SCALAR_STYLE, YAMLException, getScalarValue, parseEvents, type Event, type MappingEvent, type ScalarEvent, type SequenceEvent } from 'js-yaml';
import { ContentError, discreetly } from '../value/errors.js';
import { Float, Secret, Source, type Dict, type Value } from '../value/value.js';
import { keyring } from '../vault/index.js';
import { Text, notePlaces, noteScalar, placesOf, type Places } from './places.js';
import { resolvePlain, resolveTagged } from './scalars.js';

/** Deeper texts are refused: no playbook needs them, and everything that walks values recurses. */
const MAX_DEPTH = 200;
/** What aliases may add up to, in values: beyond it they only serve to exhaust memory. */
const MAX_ALIASED = 1_000_000;
const STANDARD = 'tag:yaml.org,2002:';

/** A collection that is still being read. */
interface Frame {
  value: Value[] | Dict;
  places: Places;
  /** Values inside, aliases expanded. */
  weight: number;
  unsafe: boolean;
  anchor: string | undefined;
  flow: boolean;
  /** Of a dict: the key read last, waiting for its value. */
  key?: { value: Value; at: number; merge: boolean } | undefined;
  merges?: { value: Value; at: number }[];
}

/** How a YAML text is read. */
export interface Reading {
  /** Text with `{{` is the project's and becomes `Source`; otherwise it is plain data. */
  sources: boolean;
  /** The text was encrypted: its strings and numbers (no keys) become `Secret`, and errors quote nothing of it. */
  isSecret?: boolean | undefined;
}

/**
 * What is done where a key of the project's YAML stands twice in a dict: its error is thrown, unless a program sets
 * otherwise. Where that returns, the last one counts, as it does in data of run time.
 */
export const duplicateKeys = {
  meet(error: ContentError): void {
    throw error;
  },
};

/** Reads every document of a YAML text. */
export function parseDocuments(input: string, file: string, reading: Reading): { value: Value; at: number; text: Text }[] {
  return discreetly(reading.isSecret ?? false, () => parse(input, file, reading));
}

function parse(input: string, file: string, reading: Reading): { value: Value; at: number; text: Text }[] {
  const text = new Text(file, input);
  let events: Event[];
  try {
    events = eventsOf(input, file);
  } catch (error) {
    throw explain(error, text);
  }
  return new Builder(text, reading).build(events);
}

/** So many characters are read again for lines that have to be joined: some seconds. A text of 20 kB may have 1500 such lines. */
const MOST_AGAIN = 30_000_000;

/**
 * Lines inside [ ] and { } may begin left of what these stand in, as PyYAML takes them. The parser does not: such a line is
 * joined to the one before, spaces for the line break and comments, so that each place stays where it was.
 * @throws YAMLException the first one, if the text is wrong all the same
 */
function eventsOf(input: string, file: string): Event[] {
  let joined = input;
  let first: unknown;
  for (let again = 0; ; ) {
    try {
      return parseEvents(joined, { filename: file, maxDepth: MAX_DEPTH });
    } catch (error) {
      first ??= error;
      if (!(error instanceof YAMLException) || error.reason !== 'deficient indentation' || !error.mark) throw first;
      again += joined.length;
      if (again > MOST_AGAIN) throw first;
      const before = joined.slice(0, error.mark.position);
      const end = withoutComments(before);
      if (!before.slice(end.length).includes('\n')) throw first;
      joined = end.padEnd(before.length) + joined.slice(before.length);
    }
  }
}

/** A text up to the last thing in it that is neither white space nor a comment. */
function withoutComments(text: string): string {
  for (;;) {
    const end = text.trimEnd();
    const start = end.lastIndexOf('\n') + 1;
    // What stands in quotes is no comment.
    const line = end.slice(start).replace(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'/g, (quoted) => '"'.repeat(quoted.length));
    const comment = /(?:^|\s)#/.exec(line);
    if (!comment) return end;
    text = end.slice(0, start + comment.index);
  }
}

class Builder {
  readonly #text: Text;
  readonly #reading: Reading;
  readonly #documents: { value: Value; at: number; text: Text }[] = [];
  #anchors = new Map<string, { value: Value; weight: number; done: boolean }>();
  #stack: Frame[] = [];
  #aliased = 0;

  constructor(text: Text, reading: Reading) {
    this.#text = text;
    this.#reading = reading;
  }

  build(events: Event[]): { value: Value; at: number; text: Text }[] {
    for (const event of events) {
      if (event.type === EVENT_ID.DOCUMENT) this.#anchors = new Map();
      else if (event.type === EVENT_ID.SCALAR) this.#scalar(event);
      else if (event.type === EVENT_ID.ALIAS) this.#alias(event.anchorStart, event.anchorEnd);
      else if (event.type === EVENT_ID.POP) this.#pop();
      else this.#open(event);
    }
    return this.#documents;
  }

  #open(event: SequenceEvent | MappingEvent): void {
    const isList = event.type === EVENT_ID.SEQUENCE;
    const tag = this.#tag(event);
    if (tag !== undefined && tag !== '!unsafe' && tag !== (isList ? 'seq' : 'map')) this.#unknownTag(tag, event.tagStart);
    const frame: Frame = {
      value: isList ? [] : new Map(),
      places: { text: this.#text, at: event.start, keys: [], keyAt: [], valueAt: [] },
      weight: 1,
      unsafe: tag === '!unsafe' || (this.#stack.at(-1)?.unsafe ?? false),
      anchor: this.#slice(event.anchorStart, event.anchorEnd),
      flow: event.style === COLLECTION_STYLE.FLOW,
    };
    if (frame.anchor !== undefined) this.#anchors.set(frame.anchor, { value: frame.value, weight: 0, done: false });
    this.#stack.push(frame);
  }

  #pop(): void {
    const frame = this.#stack.pop();
    if (!frame) return;
    if (frame.merges) this.#merge(frame);
    notePlaces(frame.value, frame.places);
    if (frame.anchor !== undefined) this.#anchors.set(frame.anchor, { value: frame.value, weight: frame.weight, done: true });
    this.#add(frame.value, frame.places.at, frame.weight);
  }

  #scalar(event: ScalarEvent): void {
    const at = this.#start(event);
    const raw = event.valueStart < 0 ? '' : getScalarValue(this.#text.input, event);
    const tag = this.#tag(event);
    const unsafe = tag === '!unsafe' || (this.#stack.at(-1)?.unsafe ?? false);
    let value: Value;
    if (tag === undefined) value = event.style === SCALAR_STYLE.PLAIN ? resolvePlain(raw) : raw;
    else if (tag === '!' || tag === '!unsafe') value = raw;
    else if (tag === '!vault' || tag === '!vault-encrypted') value = this.#vaulted(raw, event.tagStart);
    else {
      const tagged = resolveTagged(tag, raw);
      if (tagged === undefined) {
        if (/^(?:int|float|bool|null|binary)$/.test(tag)) throw this.#error(`"${raw}" is no ${tag}`, at, `drop the tag !!${tag}, or correct the value`);
        this.#unknownTag(tag, event.tagStart);
      }
      value = tagged!;
    }
    const parent = this.#stack.at(-1);
    const isKey = parent?.value instanceof Map && parent.key === undefined;
    const { sources, isSecret } = this.#reading;
    if (sources && !isKey && !unsafe && typeof value === 'string' && /\{[{%#]/.test(value)) {
      const source = new Source(value, this.#text.origin(at), isSecret);
      noteScalar(source, this.#text, event);
      value = source;
    } else if (isSecret && !isKey && value !== '' && (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')) value = new Secret(value);
    const anchor = this.#slice(event.anchorStart, event.anchorEnd);
    if (anchor !== undefined) this.#anchors.set(anchor, { value, weight: 1, done: true });
    this.#add(value, at, 1, isKey && event.style === SCALAR_STYLE.PLAIN && raw === '<<' && tag === undefined);
  }

  /** The first character of a scalar's text: behind the quote, or in a block's first line. */
  #start(event: ScalarEvent): number {
    if (event.valueStart < 0) return this.#emptyAt();
    if (event.style !== SCALAR_STYLE.LITERAL_BLOCK && event.style !== SCALAR_STYLE.FOLDED_BLOCK) return event.valueStart;
    let at = event.valueStart;
    while (at < event.valueEnd && /\s/.test(this.#text.input[at]!)) at++;
    return at < event.valueEnd ? at : event.valueStart;
  }

  /** Where an absent value (`key:`) would stand: at its key. */
  #emptyAt(): number {
    const frame = this.#stack.at(-1);
    return frame?.key?.at ?? frame?.places.valueAt.at(-1) ?? frame?.places.at ?? 0;
  }

  #alias(start: number, end: number): void {
    const name = this.#text.input.slice(start, end);
    const target = this.#anchors.get(name);
    if (!target) throw this.#error(`no anchor &${name} stands before the alias *${name}`, start - 1, 'define the anchor first, or quote a text that begins with "*"');
    if (!target.done) throw this.#error(`the alias *${name} stands inside its own anchor`, start - 1, 'a value cannot hold itself');
    this.#aliased += target.weight;
    if (this.#aliased > MAX_ALIASED) throw this.#error(`aliases expand to more than ${MAX_ALIASED} values`, start - 1, 'use fewer nested aliases');
    this.#add(target.value, start - 1, target.weight);
  }

  /** Puts a finished value where it belongs: into the open collection, or as a document. */
  #add(value: Value, at: number, weight: number, merge = false): void {
    const frame = this.#stack.at(-1);
    if (!frame) {
      this.#documents.push({ value, at, text: this.#text });
      return;
    }
    frame.weight += weight;
    const { places } = frame;
    if (Array.isArray(frame.value)) {
      frame.value.push(value);
      places.valueAt.push(at);
    } else if (frame.key === undefined) {
      frame.key = { value: this.#key(value, at, frame), at, merge };
    } else {
      const { key } = frame;
      frame.key = undefined;
      if (key.merge) {
        (frame.merges ??= []).push({ value, at });
        return;
      }
      const before = frame.value.has(key.value) ? places.keys.indexOf(key.value) : places.keys.length;
      if (before < places.keys.length && this.#reading.sources) {
        const first = this.#text.origin(places.keyAt[before]!);
        duplicateKeys.meet(this.#error(`found a duplicate dict key (${String(key.value)})`, key.at, `it first stands in line ${first.line}, column ${first.column}; remove one`));
      }
      frame.value.set(key.value, value);
      places.keys[before] = key.value;
      places.keyAt[before] = key.at;
      places.valueAt[before] = at;
    }
  }

  #key(value: Value, at: number, frame: Frame): Value {
    if (value instanceof Float) return value.value;
    if (typeof value !== 'object' || value === null) return value;
    if (frame.flow && this.#text.input.startsWith('{{', frame.places.at)) {
      const line = this.#text.input.slice(frame.places.at).split('\n', 1)[0]!.trimEnd();
      throw this.#error('a value that begins with "{{" must be quoted', frame.places.at, `write "${line.replaceAll('"', "'")}" in double quotes`);
    }
    throw this.#error('a list or dict cannot be a key', at, 'use a string as the key');
  }

  /** `<<`: members of other dicts come first, and give way to the dict's own. */
  #merge(frame: Frame): void {
    const own = frame.value as Dict;
    const merged: Dict = new Map();
    const from = new Map<Value, { keyAt: number; valueAt: number }>();
    for (const { value, at } of frame.merges!) {
      for (const dict of Array.isArray(value) ? value : [value]) {
        if (!(dict instanceof Map)) throw this.#error('"<<" merges a dict or a list of dicts', at, 'give it an alias of a dict, as in "<<: *name"');
        const places = placesOf(dict);
        for (const [key, member] of dict) {
          if (merged.has(key)) continue;
          merged.set(key, member);
          const index = places?.keys.indexOf(key) ?? -1;
          from.set(key, index < 0 ? { keyAt: at, valueAt: at } : { keyAt: places!.keyAt[index]!, valueAt: places!.valueAt[index]! });
        }
      }
    }
    frame.places.keys.forEach((key, i) => from.set(key as Value, { keyAt: frame.places.keyAt[i]!, valueAt: frame.places.valueAt[i]! }));
    for (const [key, member] of own) merged.set(key, member);
    own.clear();
    for (const [key, member] of merged) own.set(key, member);
    frame.places.keys = [...merged.keys()];
    frame.places.keyAt = frame.places.keys.map((key) => from.get(key as Value)!.keyAt);
    frame.places.valueAt = frame.places.keys.map((key) => from.get(key as Value)!.valueAt);
  }

  /** `!!int` -> `int`, `!unsafe` -> `!unsafe`. */
  #tag(event: { tagStart: number; tagEnd: number }): string | undefined {
    const tag = this.#slice(event.tagStart, event.tagEnd);
    if (tag === undefined) return undefined;
    if (tag.startsWith('!!')) return tag.slice(2);
    if (tag.startsWith(`!<${STANDARD}`)) return tag.slice(2 + STANDARD.length, -1);
    return tag;
  }

  #slice(start: number, end: number): string | undefined {
    return start < 0 ? undefined : this.#text.input.slice(start, end);
  }

  #unknownTag(tag: string, at: number): never {
    const written = /^[a-z]/.test(tag) ? `!!${tag}` : tag;
    throw this.#error(`unknown YAML tag "${written}"`, at, 'known are !unsafe, !vault, !!str, !!int, !!float, !!bool, !!null and !!binary');
  }

  /** As in Ansible, what is encrypted is data: braces in it mean nothing. */
  #vaulted(text: string, at: number): Secret {
    if (!this.#reading.sources) throw this.#error('an encrypted value (!vault) stands only in files of the project', at, 'decrypt it with the filter unvault');
    const parent = this.#stack.at(-1);
    if (parent?.value instanceof Map && parent.key === undefined) throw this.#error('an encrypted value cannot be a key', at, 'encrypt the value alone');
    return keyring.seal(text, this.#text.origin(at));
  }

  #error(message: string, at: number, hint: string): ContentError {
    return new ContentError(message, this.#text.origin(Math.max(0, at)), hint);
  }
}

/** The parser's complaint in our words, with what to do about the usual slips. */
function explain(error: unknown, text: Text): ContentError {
  if (!(error instanceof YAMLException)) throw error;
  const { mark, reason } = error;
  const origin = mark ? { file: text.file, line: mark.line + 1, column: mark.column + 1 } : { file: text.file, line: 1, column: 1 };
  const line = text.input.split('\n')[origin.line - 1] ?? '';
  return new ContentError(`YAML: ${reason}`, origin, hintFor(reason, line, origin.column, text.input.slice(0, mark?.position)));
}

function hintFor(reason: string, line: string, column: number, before: string): string {
  if (/maxDepth/.test(reason)) return `lists and dicts nest at most ${MAX_DEPTH} deep`;
  if (/\t/.test(line.slice(0, Math.max(column, (/^\s*/.exec(line)?.[0].length ?? 0)) ))) return 'indent with spaces, not tabs';
  const unquoted = (text: string) => text.slice(Math.max(text.lastIndexOf('"'), text.lastIndexOf("'")) + 1);
  if (/:\s+\{\{/.test(unquoted(line)) || /:\s+\{\{[^\n]*$/.test(unquoted(before.slice(-200)).trimEnd())) return 'a value that begins with "{{" must be quoted: "{{ … }}"';
  if (/:\s+(?!\s)[^"'|>].*:\s/.test(line)) return 'quote a value that holds ": "';
  if (/^\s*[\w-]+:\s*["'].*["']\s*\S/.test(line)) return 'where a value begins with a quote, quote it whole';
  if (/:\s+[%@`]/.test(line)) return 'quote a value that begins with %, @ or `';
  return 'check the indentation and the quotes of this line and the one above';
}
