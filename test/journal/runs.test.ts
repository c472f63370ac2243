import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findRun, Journal, keptEvents, keptRuns, prune, thisProcess } from '../../src/journal/index.js';
import type { Event } from '../../src/report/events.js';

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'muster-journal-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const idOf = (time: number, tail = '00000a') => `${new Date(time).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')}-${tail}`;
const begin = (run: string, more: Partial<Extract<Event, { event: 'run' }>> = {}): Event => ({
  event: 'run', verb: 'apply', playbooks: ['site.yml'], inventory: ['hosts'], limit: undefined, tags: [], skipTags: [], check: false, run, by: 'root@here', process: thisProcess(), ...more,
});
const counts = { ok: 1, changed: 2, failed: 0, unreachable: 0, skipped: 0, rescued: 0, ignored: 0, unknown: 0 };
const DEAD = { host: hostname(), pid: 1, began: '-1' };

/** A run with a journal; without an end it was killed. */
function kept(dir: string, time: number, { end = true, tail = '00000a', ...more }: { end?: boolean; tail?: string } & Partial<Extract<Event, { event: 'run' }>> = {}): string {
  const id = idOf(time, tail);
  const journal = new Journal(dir, id);
  journal.write(begin(id, more));
  journal.write({ event: 'note', message: 'no host matched' });
  if (end) journal.write({ event: 'recap', hosts: { web1: counts }, seconds: 1.5, exitCode: 3 });
  journal.close();
  return id;
}

test('a run is read as it was written, and only its owner may', (t) => {
  const dir = folder(t);
  const id = kept(dir, Date.UTC(2026, 0, 2, 3, 4, 5));
  t.is(statSync(join(dir, id)).mode & 0o777, 0o700);
  t.is(statSync(join(dir, id, 'events.ndjson')).mode & 0o777, 0o600);
  const [run, ...others] = keptRuns(dir);
  t.deepEqual(others, []);
  t.deepEqual(run!.end, { hosts: { web1: counts }, seconds: 1.5, exitCode: 3 });
  t.false(run!.underWay);
  t.deepEqual([...keptEvents(run!.path)].map(({ event }) => event), ['run', 'note', 'recap']);
});

test('a killed run has no end; its cut last line, and lines that are no events, are passed over', (t) => {
  const dir = folder(t);
  const id = kept(dir, Date.now(), { end: false, process: DEAD });
  appendFileSync(join(dir, id, 'events.ndjson'), 'null\n{"event":3}\nnot json\n{"at":"2026-01-01T00:00:00.000Z","event":"note","message":"ä €');
  const [run] = keptRuns(dir);
  t.is(run!.end, undefined);
  t.false(run!.underWay);
  t.deepEqual([...keptEvents(run!.path)].map(({ event }) => event), ['run', 'note']);
});

test('a run under way is told from one that was killed', (t) => {
  const dir = folder(t);
  kept(dir, Date.now(), { end: false });
  t.true([...keptRuns(dir)][0]!.underWay);
});

test('a recap longer than what is read at once is found, and so are characters on the border of two pieces', (t) => {
  const dir = folder(t);
  const id = idOf(Date.now());
  const journal = new Journal(dir, id);
  journal.write(begin(id));
  const message = '€'.repeat(100_000);
  journal.write({ event: 'note', message });
  const hosts = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`host${i}`, counts]));
  journal.write({ event: 'recap', hosts, seconds: 1, exitCode: 0 });
  journal.close();
  const [run] = keptRuns(dir);
  t.is(Object.keys(run!.end!.hosts).length, 2000);
  t.true([...keptEvents(run!.path)].some((event) => event.event === 'note' && event.message === message));
});

test('a run is found by the beginning of its id, or as the last', (t) => {
  const dir = folder(t);
  const older = kept(dir, Date.UTC(2026, 0, 1), { tail: 'aaaaaa' });
  const newer = kept(dir, Date.UTC(2026, 0, 2), { tail: 'bbbbbb' });
  t.is(findRun(dir, 'last').begin.run, newer);
  t.is(findRun(dir, '20260101').begin.run, older);
  t.throws(() => findRun(dir, '2026'), { message: /may be 2 runs/ });
  t.throws(() => findRun(dir, '2025'), { message: /no run "2025" is kept/ });
  t.throws(() => findRun(dir, '../x'), { message: /no run/ });
  t.throws(() => findRun(join(dir, 'none'), 'last'), { message: /there is no run/ });
  t.throws(() => findRun(undefined, 'last'), { message: /no journal is kept/ });
});

test('of each verb the newest runs are kept; what is under way, and what is no run, stays', (t) => {
  const dir = folder(t);
  const now = Date.UTC(2026, 5, 1);
  const minute = 60_000;
  const apply = kept(dir, now - 100 * minute);
  const drifts = [1, 2, 3, 4].map((i) => kept(dir, now - i * minute, { verb: 'drift', tail: `00000${i}` }));
  const running = kept(dir, now - 200 * minute, { end: false, verb: 'drift' });
  const killed = kept(dir, now - 300 * minute, { end: false, verb: 'drift', process: DEAD });
  const old = kept(dir, now - 10 * 24 * 60 * minute);
  mkdirSync(join(dir, 'notes'));
  prune(dir, { runs: 2, days: 7 }, now);
  t.deepEqual(readdirSync(dir).sort(), [apply, drifts[0]!, drifts[1]!, running, 'notes'].sort());
  t.false(existsSync(join(dir, killed)) || existsSync(join(dir, old)));
});

test('a folder that cannot be written is refused with what to do', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), '');
  chmodSync(dir, 0o755);
  t.throws(() => new Journal(join(dir, 'file'), 'x'), { message: /the journal cannot be kept/ });
});
