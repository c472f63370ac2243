import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import test from 'ava';
import { connect, ConnectionError, type Target } from '../../src/connection/index.js';
import { LocalConnection } from '../../src/connection/local.js';
import type { Remote } from '../../src/connection/shell-connection.js';
import { Question, type Kind } from '../../src/shell/question.js';
import { raw, type Sh } from '../../src/shell/sh.js';
import { effect, inspection, need } from './shells.js';

/** Writes into the answers of the first trips, as a process left behind on the host might. */
class Disturbed extends LocalConnection {
  trips = 0;
  constructor(private readonly disturb: number) {
    super('here');
  }
  protected override async exec(command: Sh): Promise<Remote> {
    const remote = await super.exec(command);
    const damage = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const text = chunk.toString('latin1');
        const spoil = / answers /.test(text) && this.trips++ < this.disturb;
        done(null, Buffer.from(spoil ? text.replace(/( answers \d+\n)/, '$1noise') : text, 'latin1'));
      },
    });
    return { ...remote, stdout: remote.stdout.pipe(damage) };
  }
}

const target: Target = {
  name: 'localhost', connection: 'local', host: 'localhost', port: undefined, user: undefined, password: undefined, privateKeyFile: undefined,
  connectTimeout: 10, hostKeyChecking: undefined, sshConfigFile: undefined, knownHostsFile: undefined,
};

test('spoilt answers are asked again, and the effect is not made again', async (t) => {
  const connection = new Disturbed(2);
  t.teardown(() => connection.close());
  const { effect: output, inspections } = await connection.trip({ effect: effect('echo once'), inspections: [inspection('echo a'), inspection('echo b; exit 3')] });
  t.is(output!.stdout, 'once\n');
  t.deepEqual(inspections, [{ rc: 0, stdout: 'a\n', stderr: '' }, { rc: 3, stdout: 'b\n', stderr: '' }]);
  t.is(connection.counters.trips, 3);
});

test('answers that stay spoilt are an error, not a guess', async (t) => {
  const connection = new Disturbed(Infinity);
  t.teardown(() => connection.close());
  const error = await t.throwsAsync(connection.trip({ effect: undefined, inspections: [inspection('echo a')] }));
  t.is((error as ConnectionError).kind, 'protocol');
});

test('this machine: trips, a large upload, a socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const connection = connect(target);
  t.teardown(() => connection.close());
  const path = join(folder, 'large');
  writeFileSync(path, Buffer.alloc(1_000_000, 1));
  const { effect: output } = await connection.trip({ effect: effect('wc -c <"$big"; echo "$big"', { uploads: { big: { path } } }), inspections: [] });
  const [size, place] = output!.stdout.trim().split('\n');
  t.is(Number(size), 1_000_000);
  t.false(existsSync(place!));

  const socket = join(folder, 's');
  const server = createServer((client) => client.end('hello')).listen(socket);
  t.teardown(() => void server.close());
  let got = '';
  for await (const chunk of await connection.open({ socket }, undefined)) got += chunk;
  t.is(got, 'hello');
  await t.throwsAsync(connection.open({ socket: `${socket}-none` }, undefined), { instanceOf: ConnectionError });
});

test('a shell that is killed is lost, and the next trip has another', async (t) => {
  const connection = connect(target);
  t.teardown(() => connection.close());
  const error = await t.throwsAsync(connection.trip({ effect: undefined, inspections: [inspection('kill -KILL $$')] }));
  t.is((error as ConnectionError).kind, 'lost', String(error));
  t.is((await connection.trip({ effect: undefined, inspections: [inspection('echo back')] })).inspections[0]!.stdout, 'back\n');
});

test('becoming a user that cannot be, behind an effect, is told by the inspections', async (t) => {
  need('sudo', 'sudo');
  const connection = connect(target);
  t.teardown(() => connection.close());
  const become = { method: 'sudo', user: 'no-such-user', flags: undefined, password: undefined } as const;
  const { effect: output, inspections } = await connection.trip({ effect: effect('echo done'), inspections: [inspection('echo x', become)] });
  t.is(output!.stdout, 'done\n');
  t.is(inspections[0]!.rc, 126);
  t.regex(inspections[0]!.stderr, /no user no-such-user/);
});

test('a look ahead that needs a user who is not there yet does not fail the trip; the first question does', async (t) => {
  need('sudo', 'sudo');
  const connection = connect(target);
  t.teardown(() => connection.close());
  for (const method of ['sudo', 'su'] as const) {
    const become = { method, user: 'no-such-user', flags: undefined, password: undefined } as const;
    const { inspections } = await connection.trip({ effect: undefined, inspections: [inspection('echo first'), inspection('echo x', become), inspection('echo last')] });
    t.deepEqual(inspections.map(({ rc, stdout }) => `${rc} ${stdout}`), ['0 first\n', '126 ', '0 last\n'], method);
    t.regex(inspections[1]!.stderr, /no user no-such-user/);
    await t.throwsAsync(connection.trip({ effect: undefined, inspections: [inspection('echo x', become), inspection('echo y')] }), { message: /no user no-such-user/ });
  }
});

test('questions of a kind go together, and each is asked alone where they fail together', async (t) => {
  const connection = connect(target);
  t.teardown(() => connection.close());
  const kind: Kind<string> = {
    name: 'words',
    key: (word) => word,
    text: (asked) => raw(asked.map((word) => `echo ${word}; [ ${word} != bad ] || exit 3`).join('\n')),
    apart: (stdout) => stdout.split(/(?<=\n)/),
  };
  const ask = async (...words: string[]) => {
    const before = connection.counters.trips;
    const { inspections } = await connection.trip({ effect: undefined, inspections: words.map((word) => inspection(new Question(kind, word))) });
    return { answers: inspections.map(({ rc, stdout }) => `${rc} ${stdout}`), trips: connection.counters.trips - before };
  };
  t.deepEqual(await ask('one', 'two', 'three'), { answers: ['0 one\n', '0 two\n', '0 three\n'], trips: 1 });
  t.deepEqual(await ask('one', 'bad', 'three'), { answers: ['0 one\n', '3 bad\n', '0 three\n'], trips: 2 });
});
