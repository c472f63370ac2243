import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { failureOf, Pair } from '../e2e/pair.js';
import { converges, Cut, isClean, Running, runs } from './faults.js';

/** What commands do, and what becomes of a run whose Muster is interrupted or killed. */
let pair: Pair;
let cut: Cut | undefined;

test.before(async () => {
  pair = await Pair.up('faultsrun', 'test/e2e/modules');
  writeFileSync(join(pair.folder, 'new'), randomBytes(30_000_000));
  await pair.write('sleep.yml', play('one', '{name: sleep, command: sleep 100}', '{name: after, copy: {content: "after\\n", dest: /srv/after}}'));
});
test.after.always(() => pair?.down());
test.afterEach.always(async () => {
  await cut?.heal();
  cut = undefined;
});

function play(hosts: string, ...tasks: string[]): string {
  return `- hosts: ${hosts}\n  become: true\n  gather_facts: false\n  tasks:\n${tasks.map((task) => `    - ${task}\n`).join('')}`;
}

/** The result of a task on a host. */
function resultOf(ran: Awaited<Running['ended']>, task: string): { [key: string]: unknown } {
  const found = ran.events.find((event) => event.event === 'result' && event.task === task);
  if (found?.event !== 'result') throw new Error(`${task} has no result: ${ran.told}`);
  return found.result.data;
}

test.serial('a command that prints a gigabyte: its beginning and its end are kept, the memory is bounded', async (t) => {
  await pair.write('much.yml', play('one', `{name: much, shell: "echo begin; head -c 1000000000 /dev/zero | tr '\\\\0' x; echo end"}`, `{name: lines, shell: "echo begin; head -c 20000000 /dev/zero | tr '\\\\0' '\\\\n'; echo end"}`));
  const ran = await new Running(pair, 'much.yml').ended;
  t.is(ran.code, 0, ran.told);
  const stdout = String(resultOf(ran, 'much')['stdout']);
  t.regex(stdout, /^begin\nxxx/);
  t.regex(stdout, /xend$/);
  t.regex(stdout, /\n\[99\d{7} bytes left out: of what a command prints, Muster keeps the first and the last 4194304 bytes\]\n/);
  t.true(stdout.length < 9_000_000);
  const stats = ran.events.find((event) => event.event === 'stats');
  t.true(stats?.event === 'stats' && stats.memory < 1.5e9, `${JSON.stringify(stats)}`);
  await isClean(t, pair);
});

test.serial('a command that prints NULs, invalid UTF-8 and marks like ours is told as it is', async (t) => {
  await pair.write('odd.yml', play('one', `{name: odd, shell: "printf 'a\\\\000b\\\\377\\\\376c\\\\n00112233445566778899aabbccddeeff rc 7\\\\nd'"}`));
  const ran = await new Running(pair, 'odd.yml').ended;
  t.is(ran.code, 0, ran.told);
  t.is(resultOf(ran, 'odd')['stdout'], 'a\0b\ufffd\ufffdc\n00112233445566778899aabbccddeeff rc 7\nd');
});

test.serial('a command that leaves a child holding its output is not waited for', async (t) => {
  await pair.write('child.yml', play('one', '{name: child, shell: "sleep 77 & echo started"}', '{name: next, command: echo next}'));
  const ran = await new Running(pair, 'child.yml').ended;
  t.is(ran.code, 0, ran.told);
  t.is(resultOf(ran, 'child')['stdout'], 'started');
  t.is(resultOf(ran, 'next')['stdout'], 'next');
  // What a command starts on purpose is not ours to end.
  t.regex(await pair.on('one', 'pgrep -af "[s]leep 77"; pkill -f "[s]leep 77"'), /sleep 77/);
  await isClean(t, pair);
});

test.serial('a command that never ends is ended by timeout, whatever it does against it', async (t) => {
  await pair.write('stubborn.yml', play('one', `{name: stubborn, shell: "trap '' TERM HUP INT; while :; do sleep 88; done", timeout: 2}`));
  const ran = await new Running(pair, 'stubborn.yml').ended;
  t.is(ran.code, 3, ran.told);
  t.is(failureOf(ran, 'one').message, 'ended after 2 s');
  await isClean(t, pair);
});

test.serial('Ctrl-C once: what runs is waited for, nothing new is begun; twice: it is ended', async (t) => {
  await pair.write('short.yml', play('one', '{name: sleep, command: sleep 4}', '{name: after, copy: {content: "after\\n", dest: /srv/after}}'));
  const once = new Running(pair, 'short.yml');
  await runs(pair, 'one', 'sleep 4');
  once.signal('SIGINT');
  const ended = await once.ended;
  t.is(ended.code, 130, ended.told);
  t.like(ended.recap, { one: { changed: 1, failed: 0, unreachable: 0 } });
  await isClean(t, pair, ['one']);

  const twice = new Running(pair, 'sleep.yml');
  await runs(pair, 'one', 'sleep 100');
  twice.signal('SIGINT');
  await twice.told('interrupted', { again: false });
  twice.signal('SIGINT');
  const cutShort = await twice.ended;
  t.is(cutShort.code, 130, cutShort.told);
  t.is(await pair.on('one', 'ls /srv'), '');
  await isClean(t, pair, ['one']);
  await converges(t, pair, 'short.yml');
  await pair.on('one', 'rm /srv/after');
});

test.serial('Ctrl-C twice in an upload and in a look: both are let go', async (t) => {
  await pair.write('upload.yml', play('one', '{name: upload, copy: {src: new, dest: /srv/file}}'));
  await pair.on('one', 'echo old >/srv/file');
  // It would go on for ever: what is beyond so many bytes does not arrive.
  cut = await Cut.make(pair, 'one', 'drop', 5_000_000);
  const upload = new Running(pair, 'upload.yml');
  await cut.works();
  upload.signal('SIGINT');
  await upload.told('interrupted', { again: false });
  upload.signal('SIGINT');
  // A host that does not hear the goodbye is not waited for.
  t.is((await upload.ended).code, 130);
  await cut.heal().then(() => (cut = undefined));
  await isClean(t, pair, ['one']);
  t.is(await pair.on('one', 'cat /srv/file'), 'old');
  await converges(t, pair, 'upload.yml');

  await pair.on('one', 'truncate -s 2G /srv/sparse');
  await pair.write('look.yml', play('one', '{name: look, stat: {path: /srv/sparse, checksum_algorithm: sha256}}'));
  const look = new Running(pair, 'look.yml');
  await runs(pair, 'one', 'sha256sum');
  look.signal('SIGINT');
  await look.told('interrupted', { again: false });
  look.signal('SIGINT');
  t.is((await look.ended).code, 130);
  await pair.on('one', 'rm /srv/sparse /srv/file');
  await isClean(t, pair, ['one']);
});

test.serial('Muster is killed in each phase: nothing of it stays on the host, and the run again converges', async (t) => {
  t.timeout(240_000);
  await pair.write(
    'phases.yml',
    `- hosts: all
  become: true
  gather_facts: false
  tasks:
    - {name: look, stat: {path: /srv/sparse, checksum_algorithm: sha256}}
    - {name: upload, copy: {src: new, dest: /srv/file}, notify: handler}
    - {name: effect, shell: "sleep 99; echo done >/srv/done", args: {creates: /srv/done}}
  handlers:
    - {name: handler, shell: "sleep 66; echo handled >/srv/handled", args: {creates: /srv/handled}}
`,
  );
  await pair.on('one', 'truncate -s 2G /srv/sparse; echo old >/srv/file');
  const kill = async (running: Running) => {
    running.signal('SIGKILL');
    await running.ended;
    await cut?.heal();
    cut = undefined;
    await isClean(t, pair);
  };
  let running = new Running(pair, 'phases.yml');
  await runs(pair, 'one', 'sha256sum');
  await kill(running);
  await pair.on('one', 'truncate -s 1k /srv/sparse');

  cut = await Cut.make(pair, 'one', 'drop', 5_000_000);
  running = new Running(pair, 'phases.yml');
  await cut.works();
  await kill(running);
  t.is(await pair.on('one', 'cat /srv/file'), 'old');

  running = new Running(pair, 'phases.yml');
  await runs(pair, 'one', 'sleep 99');
  await kill(running);
  t.is(await pair.on('one', 'cksum </srv/file; ls /srv'), `${await sum()}\nfile\nsparse`);
  await pair.write('phases.yml', readFileSync(join(pair.folder, 'phases.yml'), 'utf8').replace('sleep 99', 'sleep 1'));

  // The change that notifies has been made already; that its handler is not lost is told of elsewhere.
  await pair.on('one', 'echo old >/srv/file');
  running = new Running(pair, 'phases.yml');
  await runs(pair, 'one', 'sleep 66');
  await kill(running);
  t.is(await pair.on('one', 'ls /srv/handled 2>/dev/null || :'), '');
  await pair.write('phases.yml', readFileSync(join(pair.folder, 'phases.yml'), 'utf8').replace('sleep 66', 'sleep 1'));
  await converges(t, pair, 'phases.yml');
  t.is(await pair.on('one', 'cksum </srv/file'), await sum());
  await Promise.all(['one', 'two'].map((host) => pair.on(host, 'rm -rf /srv/*')));
});

/** What cksum says of the new file. */
async function sum(): Promise<string> {
  return pair.on('two', 'cksum </srv/file');
}

test.serial('two Musters at once: each ends, the file is whole, and nothing is left', async (t) => {
  await pair.write('both.yml', play('all', '{name: upload, copy: {src: new, dest: /srv/both}}', '{name: line, lineinfile: {path: /srv/lines, line: a line, create: true}}'));
  const ended = await Promise.all([new Running(pair, 'both.yml').ended, new Running(pair, 'both.yml').ended]);
  // The one that found a lock held says so by 5.
  t.true(ended.every(({ code }) => code === 0 || code === 5) && ended.some(({ code }) => code === 0), ended.map(({ code, told }) => `${code} ${told}`).join('\n'));
  await isClean(t, pair);
  t.is(await pair.on('one', 'cat /srv/lines; stat -c %s /srv/both'), `a line\n${readFileSync(join(pair.folder, 'new')).length}`);
  await converges(t, pair, 'both.yml');
});
