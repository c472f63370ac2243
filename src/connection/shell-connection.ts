import { randomBytes } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { once } from 'node:events';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { performance } from 'node:perf_hooks';
import { sh, type Sh } from '../shell/sh.js';
import type { Output, Step } from '../shell/step.js';
import { becomeCommand, becomeError, becomeInput, checkBecome, needed, sameUser } from './become.js';
import { bridge } from './bridge.js';
import { ConnectionError, type Become, type Beside, type Connection, type Counters, type Effect, type Inspection, type Trip, type TripResult } from './connection.js';
import { Marks, TripDecoder } from './decode.js';
import { encodeTrip, heartbeat, type Sent } from './frames.js';
import { together } from './together.js';

/** A command running on the host. */
export interface Remote {
  stdin: Writable;
  /** Writes much to its standard input. Settles when there is room for more. */
  write(chunk: Buffer): Promise<unknown>;
  stdout: Readable;
  stderr: Readable;
  /** Settles when it has ended and all it printed was read, or it was let go of; code is null where the link broke. */
  ended: Promise<{ code: number | null }>;
  /** Lets go of it, whatever still holds its streams. */
  close(): void;
}

/** Larger uploads travel over a channel of their own. */
const INLINE_LIMIT = 256 * 1024;
/** Bytes of a large upload that are read and written in one go. */
const PIECE = 1024 * 1024;
/** How often spoilt answers are asked again before the host is given up. */
const ASKS = 3;
/** Opening a shell takes two round trips, an effect one: with two of them ahead no effect waits for the next one's. */
const SPARES = 2;

type TripEffect = Omit<Effect, 'script'>;

/** What ssh and local have in common: trips, uploads, bridges and cancelling, over "run a command on the host". */
export abstract class ShellConnection implements Connection {
  readonly counters: Counters = { trips: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0, connecting: 0, waiting: 0, remote: 0, conversations: 0 };
  /** Shells opened ahead, so that a trip need not wait for a channel. */
  #spares: Promise<Remote>[] = [];
  #running = new Set<{ decoder: TripDecoder; become: Become | undefined }>();
  /** Looks and uploads under way: nothing is lost by letting go of them. */
  #loose = new Set<Remote>();
  #proven: Become[] = [];

  /** @param name inventory name, for messages */
  protected constructor(protected readonly name: string) {}

  /** Who runs commands that do not become anyone. */
  protected abstract readonly login: string;
  /** Round trips that running a command takes before it can be spoken to. */
  protected abstract readonly opening: number;
  /** Runs a command line, connecting first where there is no link yet. @throws ConnectionError */
  protected abstract exec(command: Sh): Promise<Remote>;
  /** A stream made without a command on the host. @throws ConnectionError */
  protected abstract forward(target: { socket: string } | { host: string; port: number }): Promise<Duplex>;
  /** Drops the link. */
  protected abstract disconnect(): Promise<void>;

  warm(): void {
    if (this.opening === 0 || this.#spares.length > 0) return;
    this.counters.roundTrips += this.opening;
    // Why it cannot be had that trip tells: nobody logs in twice to fail.
    this.#spare(() => undefined);
  }

  async trip(asked: Trip): Promise<TripResult> {
    const trip: Trip = {
      ...asked,
      effect: asked.effect && { ...asked.effect, become: this.#needed(asked.effect.become) },
      inspections: asked.inspections.map((inspection) => ({ ...inspection, become: this.#needed(inspection.become) })),
    };
    const before = this.counters.connecting;
    const start = performance.now();
    try {
      const { carried, apart } = together(trip.inspections);
      const result = await this.#complete({ ...trip, inspections: carried });
      const answers = apart(result.inspections);
      const alone = [...answers.keys()].filter((index) => answers[index] === undefined);
      if (alone.length > 0) {
        const again = await this.#complete({ effect: undefined, inspections: alone.map((index) => trip.inspections[index]!) });
        alone.forEach((index, i) => (answers[index] = again.inspections[i]!));
      }
      return { effect: result.effect, inspections: answers as Output[] };
    } finally {
      this.counters.waiting += performance.now() - start - (this.counters.connecting - before);
    }
  }

  async open(target: { socket: string } | { host: string; port: number }, wanted: Become | undefined): Promise<Duplex> {
    this.counters.conversations++;
    const become = this.#needed(wanted);
    if (become === undefined || 'port' in target) return this.forward(target);
    return await this.bridge(become, target.socket);
  }

  /** A stream to a Unix socket by way of a command on the host. */
  protected bridge(become: Become | undefined, socket: string): Promise<Duplex> {
    return this.#starting(become, bridge(socket), `${socket} cannot be reached`, 'is the server running, and does the socket stand there?');
  }

  async program(script: Sh, wanted: Become | undefined): Promise<Duplex> {
    this.counters.conversations++;
    return this.#starting(this.#needed(wanted), sh`printf %s ${bridge.ready.toString()}\n${script}`, 'the program cannot be started');
  }

  async #starting(become: Become | undefined, script: Sh, fault: string, remedy?: string): Promise<Duplex> {
    if (become) checkBecome(become, this.name);
    if (become) await this.#prove(become);
    return await bridged(await this.#as(become, script), `${this.name}: ${fault}`, remedy);
  }

  async beside(script: Sh, wanted: Become | undefined): Promise<Beside> {
    const become = this.#needed(wanted);
    // A wrong password is not tried twice at once.
    if (become?.password !== undefined && !this.#isProven(become)) throw new ConnectionError('become', `${this.name}: becoming ${become.user} is not proven yet`);
    const remote = await this.#as(become, script);
    remote.stdout.resume();
    remote.stderr.resume();
    return { tell: (line) => void remote.stdin.write(`${line}\n`), ended: remote.ended.then(() => undefined) };
  }

  async cancel(): Promise<void> {
    for (const remote of this.#loose) remote.close();
    await Promise.all(
      [...this.#running].map(async ({ decoder, become }) => {
        const pid = decoder.effectPid;
        if (pid === undefined) return;
        const script = sh`_kill() { kill -s "$1" -- -${pid} || kill -s "$1" ${pid}; } 2>/dev/null
_kill TERM; for _ in 1 2 3 4 5; do _kill 0 || exit 0; sleep 1; done; _kill KILL`;
        await this.#send({ effect: { step: { script }, become, environment: {} }, inspections: [] });
      }),
    );
  }

  async reset(): Promise<void> {
    this.#spares = [];
    await this.disconnect();
  }

  async close(): Promise<void> {
    await this.reset();
  }

  /** Sends the trip, and once more whatever a stranger's output spoilt in its answers. */
  async #complete(trip: Trip): Promise<TripResult> {
    let decoder = await this.#send(trip);
    const result = decoder.result(this.name);
    let again = decoder.spoilt;
    for (let ask = 1; again.length > 0; ask++) {
      if (ask === ASKS) throw new ConnectionError('protocol', `${this.name}: answers arrive damaged`, 'something on the host writes into the streams of its shells');
      const indices = again;
      decoder = await this.#send({ effect: undefined, inspections: indices.map((index) => trip.inspections[index]!) });
      decoder.result(this.name).inspections.forEach((output, i) => (result.inspections[indices[i]!] = output));
      again = decoder.spoilt.map((i) => indices[i]!);
    }
    return result;
  }

  async #send(trip: Trip): Promise<TripDecoder> {
    for (const { become } of [...(trip.effect ? [trip.effect] : []), ...trip.inspections]) if (become) checkBecome(become, this.name);
    const { effect, sent } = await this.#upload(trip.effect);
    const boundary = randomBytes(16).toString('hex');
    const script = encodeTrip({ ...trip, effect }, { boundary, proven: (become) => this.#isProven(become), sent });
    const decoder = new TripDecoder(trip, boundary, trip.effect?.onOutput);
    // Taken before it is waited for: another trip that begins meanwhile needs one of its own.
    const spare = this.#spares.shift();
    const remote = await (spare ?? this.#shell());
    this.counters.trips++;
    this.counters.roundTrips += spare ? 1 : 1 + this.opening;
    this.counters.bytesOut += script.length;
    const running = { decoder, become: trip.effect?.become };
    this.#running.add(running);
    if (!trip.effect) this.#loose.add(remote);
    try {
      const done = new Promise<void>((resolve) => {
        const take = (feed: (chunk: Buffer) => void) => (chunk: Buffer) => {
          this.counters.bytesIn += chunk.length;
          feed(chunk);
          if (decoder.done) resolve();
        };
        remote.stdout.on('data', take((chunk) => decoder.stdout(chunk)));
        remote.stderr.on('data', take((chunk) => decoder.stderr(chunk)));
      });
      remote.stdin.end(script);
      // A host that was only looked at mostly is as it should be. One that is changed is likely to be changed again.
      if (trip.effect && !trip.isLast) this.#prepareSpares();
      const ended = await Promise.race([done.then(() => undefined), remote.ended]);
      if (!decoder.done) {
        if (ended!.code === null) this.#spares = [];
        throw this.#unfinished(decoder, ended!.code);
      }
    } finally {
      this.#running.delete(running);
      this.#loose.delete(remote);
      remote.close();
    }
    this.counters.remote += decoder.remote;
    for (const become of decoder.becomes) if (!this.#isProven(become)) this.#proven.push(become);
    return decoder;
  }

  #unfinished(decoder: TripDecoder, code: number | null): ConnectionError {
    if (code === null) return new ConnectionError('lost', `${this.name}: the connection was lost${decoder.begun ? ' while work was under way' : ''}`, 'run again; what was done is seen by looking');
    if (decoder.begun) return new ConnectionError('lost', `${this.name}: the shell on the host was ended (status ${code}) before its work was done`, 'run again');
    return new ConnectionError('protocol', `${this.name}: the login shell ran no /bin/sh (status ${code})${decoder.noise ? `: ${decoder.noise.slice(-500)}` : ''}`, 'the user needs a login shell that runs commands');
  }

  #shell(): Promise<Remote> {
    return this.exec(sh`exec /bin/sh`);
  }

  /** A spare that cannot be had is no error: the next trip opens its own. Where nothing takes a round trip nothing is gained. */
  #prepareSpares(): void {
    if (this.opening === 0) return;
    while (this.#spares.length < SPARES) this.#spare((forget) => forget());
  }

  #spare(onFailure: (forget: () => void) => void): void {
    const spare = this.#shell();
    this.#spares.push(spare);
    const forget = (): void => {
      this.#spares = this.#spares.filter((other) => other !== spare);
    };
    // One that dies is no error either.
    spare.then((remote) => remote.ended.then(forget), () => onFailure(forget));
  }

  #needed(become: Become | undefined): Become | undefined {
    return needed(become, this.login);
  }

  #isProven(become: Become): boolean {
    return this.#proven.some((proven) => sameUser(proven, become));
  }

  /** @throws ConnectionError become */
  async #prove(become: Become): Promise<void> {
    if (this.#isProven(become)) return;
    const look: Inspection = { script: sh`:`, become, environment: {} };
    (await this.#send({ effect: undefined, inspections: [look] })).result(this.name);
  }

  /** A command under another user, its standard input free for what it is to read. */
  async #as(become: Become | undefined, command: Sh): Promise<Remote> {
    if (become === undefined) return this.exec(sh`exec /bin/sh -c ${command.text}`);
    const gate = `gate-${randomBytes(4).toString('hex')}`;
    const remote = await this.exec(sh`LC_ALL=C; export LC_ALL; ${becomeCommand(become, gate, command)}`);
    remote.stdin.write(becomeInput(become, gate));
    return remote;
  }

  /** Reads small files in, and sends large ones ahead. */
  async #upload(effect: TripEffect | undefined): Promise<{ effect: TripEffect | undefined; sent?: Sent }> {
    if (!effect?.step.uploads) return { effect };
    const uploads: NonNullable<Step['uploads']> = {};
    const sent: Sent = { folders: [], files: {} };
    for (const [name, upload] of Object.entries(effect.step.uploads)) {
      const size = 'path' in upload ? (await stat(upload.path)).size : upload.content.length;
      if (size < INLINE_LIMIT) {
        uploads[name] = 'path' in upload ? { content: await readFile(upload.path) } : upload;
      } else {
        if (effect.become) await this.#prove(effect.become);
        const chunks = 'path' in upload ? readIn(upload.path) : pieces(upload.content);
        const folder = await this.#stream(name, chunks, size, upload.near, effect);
        sent.folders.push(folder);
        sent.files[name] = `${folder}/file`;
      }
    }
    return { effect: { ...effect, step: { ...effect.step, uploads } }, sent };
  }

  /** @returns the folder on the host whose `file` holds the content */
  async #stream(name: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>, size: number, near: Sh | undefined, { become, onOutput }: TripEffect): Promise<string> {
    const boundary = randomBytes(16).toString('hex');
    const remote = await this.#as(
      become,
      sh`printf '\n%s entered\n' ${boundary}
umask 077; ${near ? beside(near) : sh`_d=`}
[ "$_d" ] || _d=$(mktemp -d "\${TMPDIR:-/tmp}/.muster.XXXXXXXX") || exit 1
printf '\n%s into %s\n' ${boundary} "$_d"
exec 3<&0
cat <&3 >"$_d/file" & _c=$!
( ${heartbeat(boundary)}; kill $_c ) 3<&- & _w=$!
wait $_c && [ "$(wc -c <"$_d/file")" -eq ${size} ]; _r=$?
kill $_w
if [ $_r -eq 0 ]; then printf '\n%s sent\n' ${boundary}; else rm -rf -- "$_d"; exit 1; fi`,
    );
    let folder: string | undefined;
    let entered = false;
    let into: string | undefined;
    const marks = new Marks(boundary, ([what, ...path]) => {
      if (what === 'entered') entered = true;
      if (what === 'into') into = path.join(' ');
      if (what === 'sent') folder = into;
    }, () => undefined);
    const errors: Buffer[] = [];
    remote.stdout.on('data', (chunk: Buffer) => marks.push(chunk));
    remote.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    let over = false;
    this.#loose.add(remote);
    const ended = remote.ended.then((end) => ((over = true), this.#loose.delete(remote), end));
    let done = 0;
    let shown = -1;
    let sent: Promise<unknown> = Promise.resolve();
    for await (const chunk of chunks) {
      await Promise.race([sent, ended]);
      if (over) break;
      // The next chunk is read meanwhile.
      sent = remote.write(chunk);
      this.counters.bytesOut += chunk.length;
      done += chunk.length;
      const percent = Math.floor((done / size) * 100);
      if (percent !== shown) onOutput?.(`${name}: ${percent} % of ${Math.ceil(size / 1e6)} MB sent\n`);
      shown = percent;
    }
    remote.stdin.end();
    const { code } = await ended;
    if (folder !== undefined) return folder;
    if (code === null) throw new ConnectionError('lost', `${this.name}: the connection was lost while ${name} was sent`, 'run again');
    const said = Buffer.concat(errors).toString('utf8').trim() || `status ${code}`;
    if (become && !entered) throw becomeError(become, this.name, code, said);
    throw new ConnectionError('upload', `${this.name}: ${size} bytes could not be put ${into === undefined ? 'on the host' : `into ${posix.dirname(into)}`}: ${said}`, 'is there room, and may the user write there?');
  }
}

/** Sets $_d to a new folder above a path that may not be there yet; to nothing where none can be made. */
function beside(path: Sh): Sh {
  return sh`_n=${path}; _n=\${_n%/*}
while [ "$_n" ] && [ ! -d "$_n" ]; do case $_n in */*) _n=\${_n%/*} ;; *) _n=. ;; esac; done
_d=$(mktemp -d "$_n/.muster.XXXXXXXX" 2>/dev/null) || _d=`;
}

/** A file by pieces. A piece holds until the one after the next is asked for: a buffer for each would have memory collected all the time. */
async function* readIn(path: string): AsyncIterable<Buffer> {
  const file = await open(path);
  const buffers = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)] as const;
  try {
    for (let turn = 0; ; turn = 1 - turn) {
      const buffer = buffers[turn]!;
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function* pieces(content: Buffer): Iterable<Buffer> {
  for (let at = 0; at < content.length; at += INLINE_LIMIT) yield content.subarray(at, at + INLINE_LIMIT);
}

/** The stream behind the line with which the bridge says that it is connected. */
async function bridged(remote: Remote, fault: string, remedy: string | undefined): Promise<Duplex> {
  const errors: Buffer[] = [];
  remote.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  let head = Buffer.alloc(0);
  for (;;) {
    const chunk = (remote.stdout.read() as Buffer | null) ?? undefined;
    if (chunk === undefined) {
      if (remote.stdout.readableEnded || remote.stdout.destroyed) break;
      await Promise.race([once(remote.stdout, 'readable'), once(remote.stdout, 'end'), remote.ended]);
      if (remote.stdout.readableLength === 0 && (await settled(remote.ended))) break;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const at = head.indexOf(bridge.ready);
    if (at < 0) continue;
    const rest = head.subarray(at + bridge.ready.length);
    if (rest.length > 0) remote.stdout.unshift(rest);
    return Duplex.from({ readable: remote.stdout, writable: remote.stdin });
  }
  remote.close();
  throw new ConnectionError('refused', `${fault}: ${Buffer.concat(errors).toString('utf8').trim()}`, remedy);
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  const no = Symbol('no');
  return (await Promise.race([promise, Promise.resolve(no)])) !== no;
}
