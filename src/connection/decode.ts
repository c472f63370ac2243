import type { Output } from '../shell/step.js';
import { becomeError, isNobody } from './become.js';
import { ConnectionError, type Become, type Trip, type TripResult } from './connection.js';
import { sections, type Section } from './frames.js';

/** Exit status of inspections that were not asked, since nobody could become their user. */
export const REFUSED = 126;

/**
 * Reads what the script of a trip printed, as it arrives; see frames.ts for the marks.
 * `done` turns true with the end mark on both streams: nobody waits for a stream to close, since a daemon that an
 * effect started may hold it open for ever.
 */
export class TripDecoder {
  readonly #stdout: Marks;
  readonly #stderr: Marks;
  readonly #parts: Part[];
  readonly #effect: { out: Kept; err: Kept };
  readonly #asked: { err: Buffer[]; late: boolean }[];
  #inEffect = { out: false, err: false };
  /** Of stdout and of stderr: which section is being read. */
  #section = { out: -1, err: -1 };
  #next = 0;
  #answer: { length: number; text: Buffer[] } | undefined;
  #ended = { out: false, err: false };
  /** The beginning of both streams, for the message when no shell answered. */
  readonly #noise = new Kept(64 * 1024);
  #begun = false;
  #effectRc: number | undefined;
  #clock = NaN;
  /** Milliseconds between begin and end by the host's own clock; 0 where it has none. */
  remote = 0;
  /** The effect's shell, leader of its process group where the host has setsid. */
  effectPid: number | undefined;

  /** @param onOutput is given the effect's output as it arrives */
  constructor(
    private readonly trip: Trip,
    boundary: string,
    onOutput?: (text: string) => void,
  ) {
    this.#parts = sections(trip).map((section) => ({
      ...section,
      entered: false,
      enteredErr: false,
      rc: undefined,
      stderr: [],
      answers: undefined,
      spoilt: false,
    }));
    const limit = trip.effect?.step.kept;
    this.#effect = { out: new Kept(limit), err: new Kept(limit) };
    this.#asked = trip.inspections.map(() => ({ err: [], late: false }));
    const show = (text: Buffer): void => onOutput?.(text.toString('utf8'));
    this.#stdout = new Marks(boundary, (mark) => this.#onOut(mark), (text) => {
      if (!this.#begun) this.#noise.push(text);
      else if (this.#answer) this.#answer.text.push(text);
      else if (this.#inEffect.out) {
        this.#effect.out.push(text);
        show(text);
      }
    });
    this.#stderr = new Marks(boundary, (mark) => this.#onErr(mark), (text) => {
      const part = this.#parts[this.#section.err];
      if (part === undefined) this.#noise.push(text);
      else if (this.#inEffect.err) {
        this.#effect.err.push(text);
        show(text);
      } else if (!part.enteredErr) part.stderr.push(text);
      else if (this.#next < this.#asked.length && part.inspections.includes(this.#next)) this.#asked[this.#next]!.err.push(text);
    });
  }

  stdout(chunk: Buffer): void {
    this.#stdout.push(chunk);
  }

  stderr(chunk: Buffer): void {
    this.#stderr.push(chunk);
  }

  get done(): boolean {
    return this.#ended.out && this.#ended.err;
  }

  /** The shell has read and begun to run the script: from here on an effect may have happened. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The effect's output so far, when the end never came. */
  get noise(): string {
    return this.#noise.text().trim();
  }

  /** Inspections whose answers another process' output has spoilt; they must be asked again. */
  get spoilt(): number[] {
    return this.#parts.filter((part) => part.spoilt).flatMap((part) => part.inspections);
  }

  /** Whether this become worked: its password need not be tried by itself again. */
  get becomes(): Become[] {
    return this.#parts.filter((part) => part.entered && part.become).map((part) => part.become!);
  }

  /**
   * What the trip brought; only when `done`. Spoilt answers are empty.
   * @throws ConnectionError become, where no effect has happened yet; not where just a look ahead needs a user who is not there
   */
  result(host: string): TripResult {
    const inspections: Output[] = this.trip.inspections.map(() => ({ rc: 255, stdout: '', stderr: '' }));
    for (const part of this.#parts) {
      const failure = this.#failure(part, host);
      // Who only looks ahead of their turn may need a user that a task before them makes.
      const early = !this.trip.effect && !part.inspections.includes(0) && failure?.kind === 'become' && isNobody(Buffer.concat(part.stderr).toString('utf8'));
      if (failure && !early && (this.#effectRc === undefined || part.effect)) throw failure;
      part.inspections.forEach((index, i) => {
        const { err, late } = this.#asked[index]!;
        // The effect of this trip has happened and must be told, so the failure is told by the inspections alone.
        if (failure) inspections[index] = { rc: REFUSED, stdout: '', stderr: `${failure.message}; ${failure.remedy}` };
        else if (!part.spoilt) {
          const { rc, stdout } = part.answers![i]!;
          inspections[index] = { rc: late ? 124 : rc, stdout: stdout.toString('utf8'), stderr: Buffer.concat(err).toString('utf8') };
        }
      });
    }
    if (!this.trip.effect) return { effect: undefined, inspections };
    const { out, err } = this.#effect;
    return { effect: { rc: this.#effectRc!, stdout: out.text(), stderr: err.text() }, inspections };
  }

  #failure(part: Part, host: string): ConnectionError | undefined {
    const said = Buffer.concat(part.stderr).toString('utf8');
    if (!part.entered && part.become) return becomeError(part.become, host, part.rc ?? 255, said);
    if (part.effect && this.#effectRc === undefined) return new ConnectionError('lost', `${host}: the shell that ran the effect was ended (status ${part.rc})`);
    if (part.inspections.length === 0 || part.spoilt) return undefined;
    if (part.answers === undefined) return new ConnectionError('lost', `${host}: the shell that asked ${part.inspections.length} inspections was ended (status ${part.rc})`);
    if (part.answers.length !== part.inspections.length)
      return new ConnectionError('protocol', `${host} gave ${part.answers.length} answers to ${part.inspections.length} inspections`, 'the host needs base64 (coreutils or busybox)');
    return undefined;
  }

  #onOut([what, first]: string[]): void {
    const part = this.#parts[this.#section.out];
    switch (what) {
      case 'begin':
        this.#begun = true;
        this.#clock = Number(first);
        break;
      case 'section':
        this.#section.out++;
        break;
      case 'entered':
        if (part) part.entered = true;
        break;
      case 'pid':
        this.effectPid = Number(first);
        this.#inEffect.out = true;
        break;
      case 'rc':
        this.#inEffect.out = false;
        this.#effectRc = Number(first);
        break;
      case 'answers':
        this.#answer = { length: Number(first), text: [] };
        break;
      case 'done':
        if (part && this.#answer) this.#take(part, this.#answer);
        this.#answer = undefined;
        break;
      case 'left':
        if (part) part.rc = Number(first);
        break;
      case 'end':
        this.#ended.out = true;
        this.remote = Math.max(0, (Number(first) - this.#clock) * 1000) || 0;
    }
  }

  #onErr([what]: string[]): void {
    const part = this.#parts[this.#section.err];
    switch (what) {
      case 'section':
        this.#section.err++;
        break;
      case 'effect':
        this.#inEffect.err = true;
        break;
      case 'rc':
        this.#inEffect.err = false;
        break;
      case 'entered':
        if (part) part.enteredErr = true;
        break;
      case 'late':
        if (this.#asked[this.#next]) this.#asked[this.#next]!.late = true;
        break;
      case 'next':
        this.#next++;
        break;
      case 'left':
        // A shell that was ended leaves some unasked: the next section begins at its own first one.
        if (part) this.#next = (part.inspections.at(-1) ?? this.#next - 1) + 1;
        break;
      case 'end':
        this.#ended.err = true;
    }
  }

  #take(part: Part, { length, text }: { length: number; text: Buffer[] }): void {
    const encoded = Buffer.concat(text);
    if (encoded.length !== length) {
      part.spoilt = true;
      return;
    }
    const answers: { rc: number; stdout: Buffer }[] = [];
    let stdout: Buffer[] = [];
    new Marks(
      this.#stdout.boundary,
      ([rc]) => {
        answers.push({ rc: Number(rc), stdout: Buffer.concat(stdout) });
        stdout = [];
      },
      (piece) => stdout.push(piece),
    ).push(Buffer.from(encoded.toString('latin1'), 'base64'));
    part.answers = answers;
  }
}

/** A section while it is read. */
interface Part extends Section {
  /** Its shell runs, as stdout and as stderr tell. */
  entered: boolean;
  enteredErr: boolean;
  rc: number | undefined;
  /** What becoming the other user said. */
  stderr: Buffer[];
  answers: { rc: number; stdout: Buffer }[] | undefined;
  spoilt: boolean;
}

/** What was printed: all of it or, of more than a limit, half as much from the beginning and half from the end. */
class Kept {
  readonly #first: Buffer[] = [];
  #room: number;
  /** The end, written round and round. */
  #ring: Buffer | undefined;
  /** Bytes that came behind the beginning. */
  #behind = 0;

  constructor(private readonly limit = Infinity) {
    this.#room = limit / 2;
  }

  push(chunk: Buffer): void {
    const head = chunk.subarray(0, this.#room);
    if (head.length > 0) this.#first.push(head);
    this.#room -= head.length;
    for (let at = head.length; at < chunk.length; ) {
      this.#ring ??= Buffer.allocUnsafe(this.limit / 2);
      const copied = chunk.copy(this.#ring, this.#behind % this.#ring.length, at);
      this.#behind += copied;
      at += copied;
    }
  }

  text(): string {
    const first = Buffer.concat(this.#first);
    if (this.#ring === undefined) return first.toString('utf8');
    const { length } = this.#ring;
    if (this.#behind <= length) return Buffer.concat([first, this.#ring.subarray(0, this.#behind)]).toString('utf8');
    const seam = this.#behind % length;
    const half = `${length} bytes`;
    const last = Buffer.concat([this.#ring.subarray(seam), this.#ring.subarray(0, seam)]);
    return `${first.toString('utf8')}\n[${this.#behind - length} bytes left out: of what a command prints, Muster keeps the first and the last ${half}]\n${last.toString('utf8')}`;
  }
}

/** Splits a stream at lines that begin with the boundary; the newline before such a line belongs to it. */
export class Marks {
  #pending: Buffer = Buffer.alloc(0);
  readonly #start: Buffer;

  constructor(
    readonly boundary: string,
    private readonly onMark: (words: string[]) => void,
    private readonly onText: (text: Buffer) => void,
  ) {
    this.#start = Buffer.from(`\n${boundary} `);
  }

  push(chunk: Buffer): void {
    let data = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const at = data.indexOf(this.#start);
      if (at < 0) break;
      const end = data.indexOf(10, at + this.#start.length);
      if (at > 0) this.onText(data.subarray(0, at));
      data = data.subarray(at);
      if (end < 0) {
        this.#pending = data;
        return;
      }
      this.onMark(data.subarray(this.#start.length, end - at).toString('latin1').split(' '));
      data = data.subarray(end - at + 1);
    }
    // What could be the beginning of a mark waits for more.
    const keep = Math.min(data.length, this.#start.length - 1);
    let from = data.indexOf(10, data.length - keep);
    while (from >= 0 && !this.#start.subarray(0, data.length - from).equals(data.subarray(from))) from = data.indexOf(10, from + 1);
    if (from < 0) from = data.length;
    if (from > 0) this.onText(data.subarray(0, from));
    this.#pending = data.subarray(from);
  }
}
