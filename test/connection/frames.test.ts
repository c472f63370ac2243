import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { Marks, TripDecoder } from '../../src/connection/decode.js';
import type { Trip } from '../../src/connection/connection.js';
import { encodeTrip } from '../../src/connection/frames.js';
import { bytes, sh } from '../../src/shell/sh.js';
import { effect, feed, inspection, need, run, SHELLS } from './shells.js';

const BOUNDARY = '0123456789abcdef0123456789abcdef';

/** Of a process, as it began; nothing where it has gone. */
function environment(id: string): string {
  try {
    return readFileSync(`/proc/${id}/environ`, 'latin1');
  } catch {
    return '';
  }
}

test.before(() => {
  need('dash', 'dash');
  need('busybox', 'busybox-static');
});

for (const shell of SHELLS) {
  const name = shell[0];

  test(`${name}: an effect and inspections come back as they were`, async (t) => {
    const { result } = await run(shell, {
      effect: effect('echo out; echo err >&2; exit 3', { environment: { WHO: "it's" } }),
      inspections: [inspection('echo one; echo two >&2'), inspection('printf "no newline"; exit 7'), inspection('cat; echo "$WHO"', undefined, { WHO: 'a b\n"c"' })],
    });
    t.deepEqual(result, {
      effect: { rc: 3, stdout: 'out\n', stderr: 'err\n' },
      inspections: [
        { rc: 0, stdout: 'one\n', stderr: 'two\n' },
        { rc: 7, stdout: 'no newline', stderr: '' },
        { rc: 0, stdout: 'a b\n"c"\n', stderr: '' },
      ],
    });
  });

  test(`${name}: nothing runs of a script whose end is missing, wherever it is cut`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const touched = join(folder, 'touched');
    const script = encodeTrip(
      { effect: effect(sh`touch ${touched}\n}\ntouch ${touched} # }`), inspections: [inspection(sh`: >>${touched}`)] },
      { boundary: BOUNDARY },
    );
    // All cuts of the text would be thousands of shells: every byte of its ends and of the seams, and a sample between.
    const cuts = new Set<number>();
    for (let at = 0; at < script.length - 2; at += 7) cuts.add(at);
    for (let at = script.length - 120; at < script.length - 2; at++) cuts.add(at);
    for (let at = 0; at < script.length - 2; at++) if (/[\n;}'"]/.test(script[at]!) && at % 3 === 0) cuts.add(at);
    for (const cut of cuts) {
      spawnSync(shell[0], shell.slice(1), { input: script.slice(0, cut) });
      if (existsSync(touched)) return t.fail(`cut at ${cut} of ${script.length}: ${script.slice(cut - 30, cut)}`);
    }
    spawnSync(shell[0], shell.slice(1), { input: script });
    t.true(existsSync(touched), 'the whole script does run');
  });

  test(`${name}: NULs, invalid UTF-8, forged marks and a megabyte do no harm`, async (t) => {
    const forged = `\n${BOUNDARY} 0\n\n${BOUNDARY} end\n`;
    const large = 'x'.repeat(1 << 20);
    const { result } = await run(shell, {
      effect: effect(sh`${bytes(Buffer.from([0, 255, 10, 0]))}; printf %s ${forged}; printf %s ${forged} >&2`),
      inspections: [inspection(sh`${bytes(Buffer.from([65, 0, 255, 10]))}`), inspection(sh`printf %s ${forged}`), inspection('head -c 1048576 /dev/zero | tr "\\0" x')],
    });
    t.is(result.effect!.stdout, `\0\ufffd\n\0${forged}`);
    t.is(result.effect!.stderr, forged);
    t.deepEqual(result.inspections.map(({ stdout }) => stdout), ['A\0\ufffd\n', forged, large]);
  });

  test(`${name}: a child that holds the streams does not hold up the trip`, async (t) => {
    const { result } = await run(shell, { effect: effect('sleep 60 & echo $!'), inspections: [inspection('echo behind')] });
    process.kill(Number(result.effect!.stdout));
    t.is(result.inspections[0]!.stdout, 'behind\n');
  });

  test(`${name}: late output of a child spoils an answer at most, and that is noticed`, async (t) => {
    const { decoder } = await run(shell, {
      effect: effect('( while :; do echo noise; done ) & echo $!'),
      inspections: [inspection('head -c 300000 /dev/zero; sleep 1')],
    }).then(async (done) => {
      process.kill(Number(done.result.effect!.stdout.split('\n').find((line) => /^\d+$/.test(line))), 'SIGKILL');
      return done;
    });
    // Whether noise fell between the blocks of the answer is chance; a wrong answer is what must not be.
    const [answer] = decoder.result('here').inspections;
    t.true(decoder.spoilt.length === 1 || answer!.stdout.length === 300_000);
  });

  test(`${name}: syntax errors, exits and set -e stay with the inspection that has them`, async (t) => {
    const { result } = await run(shell, {
      effect: undefined,
      inspections: [inspection('fi; }'), inspection('set -e; false; echo not reached'), inspection('exit 9'), inspection('echo "'), inspection('x=1; echo fine # }')],
    });
    t.deepEqual(result.inspections.map(({ rc }) => rc).map((rc, i) => (i === 0 || i === 3 ? rc !== 0 : rc)), [true, 1, 9, true, 0]);
    t.is(result.inspections[4]!.stdout, 'fine\n');
  });

  test(`${name}: an inspection that takes too long is ended with rc 124, and those behind it still answer`, async (t) => {
    const { result } = await run(
      shell,
      { effect: undefined, inspections: [inspection('echo before'), inspection('echo begun; sleep 600; echo after'), inspection('echo next')] },
      { inspectionLimit: 1 },
    );
    t.deepEqual(result.inspections.map(({ rc, stdout }) => [rc, stdout]), [[0, 'before\n'], [124, 'begun\n'], [0, 'next\n']]);
  });

  test(`${name}: where nobody reads any more, what asks and a command that hangs up end, and leave nothing running`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    // Looked for until the readers have gone.
    const gone = join(folder, 'gone');
    const ends = async (trip: Trip) => {
      const mark = randomBytes(16).toString('hex');
      const child = spawn(shell[0]!, shell.slice(1), { stdio: 'pipe', env: { ...process.env, MUSTER_TEST: mark } });
      child.stdin.end(encodeTrip(trip, { boundary: BOUNDARY }));
      await once(child.stdout, 'data');
      // Whatever the shell started has its environment, and its session or one of its own.
      const family = () => readdirSync('/proc').filter((id) => /^\d+$/.test(id) && Number(id) !== process.pid && environment(id).includes(mark));
      while (family().length < 3) await sleep(20);
      child.stdout.destroy();
      child.stderr.destroy();
      return family;
    };
    await Promise.all([ends({ effect: undefined, inspections: [inspection(`while [ ! -e ${gone} ]; do sleep 0.1; done`), inspection('sleep 1')] }), ends({ effect: effect('sleep 100', { hangsUp: true }), inspections: [] })].map(async (begun) => {
      const family = await begun;
      writeFileSync(gone, '');
      for (let tries = 0; tries < 300 && family().length > 0; tries++) await sleep(100);
      t.deepEqual(family(), []);
    }));
  });

  test(`${name}: an effect has a limit too, and its group ends with it`, async (t) => {
    const { result } = await run(shell, { effect: effect('echo begun; sleep 600; echo after', { timeout: 1 }), inspections: [inspection('echo next')] });
    t.is(result.effect!.rc, 124);
    t.is(result.effect!.stdout, 'begun\n');
    const quick = await run(shell, { effect: effect('exit 5', { timeout: 100 }), inspections: [] });
    t.is(quick.result.effect!.rc, 5);
  });

  test(`${name}: of what an effect prints the beginning and the end are kept`, async (t) => {
    const print = (count: number) => run(shell, { effect: effect(`i=0; while [ $i -lt ${count} ]; do printf 0123456789; i=$((i + 1)); done`, { kept: 100, hangsUp: true }), inspections: [] });
    t.is((await print(10)).result.effect!.stdout, '0123456789'.repeat(10));
    const { stdout } = (await print(1000)).result.effect!;
    t.regex(stdout, /^(0123456789){5}\n\[9900 bytes left out: .*\]\n(0123456789){5}$/);
  });

  test(`${name}: uploads are private, whole, and gone afterwards`, async (t) => {
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256));
    const { result } = await run(shell, {
      effect: effect('sha256sum <"$data"; stat -c %a "${data%/*}"; echo "$data"; exit 1', { uploads: { data: { content } } }),
      inspections: [],
    });
    const [sum, mode, path] = result.effect!.stdout.split('\n');
    t.deepEqual([sum, mode], [`${createHash('sha256').update(content).digest('hex')}  -`, '700']);
    t.false(existsSync(path!));
  });
}

test('a host with nothing but busybox', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  execFileSync('busybox', ['--install', '-s', folder]);
  const { result } = await run(['env', '-i', `PATH=${folder}`, join(folder, 'sh')], {
    effect: effect('cat "$f"; command -v cat; exit 2', { uploads: { f: { content: Buffer.from('content\n') } }, timeout: 30 }),
    inspections: [inspection('echo a'), inspection('perl -v 2>/dev/null || echo nothing else')],
  });
  t.deepEqual(result.effect, { rc: 2, stdout: `content\n${folder}/cat\n`, stderr: '' });
  t.is(result.inspections[0]!.stdout, 'a\n');
  t.is(result.inspections[1]!.stdout, 'nothing else\n');
});

test('text with quotes of every kind, run by three shells, is what was written', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...SHELLS), fc.array(fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\0', '')), { minLength: 1, maxLength: 5 }), async (shell, words) => {
      const { result } = await run(shell, {
        effect: effect(sh`printf %s ${words[0]!}`, { environment: { V: words[0]! } }),
        inspections: words.map((word) => inspection(sh`printf %s "$V"${word}`, undefined, { V: word })),
      });
      t.deepEqual(result.inspections.map(({ stdout }) => stdout), words.map((word) => Buffer.from(word + word).toString('utf8')));
      t.is(result.effect!.stdout, Buffer.from(words[0]!).toString('utf8'));
    }),
    { numRuns: 25 },
  );
});

test('marks are found however the stream is cut into pieces', (t) => {
  const stream = Buffer.from(`noise\n${BOUNDARY.slice(0, 10)}\n\n${BOUNDARY} begin\ntext\n\n\n${BOUNDARY} rc 1\n${BOUNDARY}x\n`);
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
      const seen: string[] = [];
      let text = '';
      const marks = new Marks(BOUNDARY, (words) => seen.push(words.join(' ')), (piece) => (text += piece.toString()));
      const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
      for (let i = 1; i < places.length; i++) marks.push(stream.subarray(places[i - 1], places[i]));
      return seen.join() === 'begin,rc 1' && text.startsWith(`noise\n${BOUNDARY.slice(0, 10)}\ntext\n\n`);
    }),
  );
  t.pass();
});

test('output is told while the effect runs', async (t) => {
  let seen = '';
  await run(['dash'], { effect: effect('echo a; echo b >&2', { onOutput: (text) => (seen += text) }), inspections: [] });
  t.deepEqual([...seen].sort().join('').trim(), 'ab');
});

test('login noise before the trip is left out', async (t) => {
  const decoder = new TripDecoder({ effect: undefined, inspections: [inspection('echo x')] }, BOUNDARY);
  decoder.stdout(Buffer.from('Welcome to this host!\nno newline at the end'));
  decoder.stderr(Buffer.from('bash: warning: setlocale\n'));
  await feed(['dash'], encodeTrip({ effect: undefined, inspections: [inspection('echo x')] }, { boundary: BOUNDARY }), decoder);
  t.deepEqual(decoder.result('h').inspections, [{ rc: 0, stdout: 'x\n', stderr: '' }]);
});

test('a name no shell variable can have is refused', (t) => {
  t.throws(() => encodeTrip({ effect: undefined, inspections: [inspection(':', undefined, { 'a-b': '1' })] }, { boundary: BOUNDARY }), { message: /a-b/ });
});

test('no folder is left in /tmp by a killed effect', async (t) => {
  const { result } = await run(['dash'], { effect: effect('echo "$f"; kill -KILL $$', { uploads: { f: { content: Buffer.from('x') } } }), inspections: [] });
  t.is(result.effect!.rc, 137);
  t.false(existsSync(result.effect!.stdout.trim()));
});
