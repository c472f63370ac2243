import test from 'ava';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDuration } from '../../src/drift/duration.js';
import { type Standing, messageOf, runCommand, toldNow, untold } from '../../src/drift/tell.js';
import type { Finding } from '../../src/report/events.js';
import { mask } from '../../src/report/mask.js';

const finding = (host: string, state: Finding['state'], more: Partial<Finding> = {}): Finding => ({ host, task: 'Write', field: 'mode', fingerprint: 'f', nth: 1, change: 'mode', since: '2026-01-01T00:00:00Z', state, ...more });
const standing = (more: Partial<Standing>): Standing => ({ findings: [], unreachable: [], failed: [], held: [], error: undefined, ...more });
const AT = '2026-01-02T00:00:00Z';

test('corrections that could not be told are told until they are', (t) => {
  const first = standing({ findings: [finding('h1', 'corrected')] });
  const once = untold(first, undefined);
  const second = standing({ findings: [finding('h1', 'corrected', { fingerprint: 'g' })] });
  t.deepEqual(messageOf(second, once, undefined, 0)!.corrected.map(({ fingerprint }) => fingerprint), ['f', 'g']);
  const twice = untold(second, once);
  t.is(messageOf(standing({}), twice, undefined, 0)!.text, '2 corrected on h1 (Write); all is as described');
  t.is(messageOf(standing({}), toldNow(standing({}), twice, AT), undefined, 0), undefined);
});

test('a run that could not look resolves nothing, neither then nor behind it', (t) => {
  const told = toldNow(standing({ findings: [finding('h1', 'persisting')] }), undefined, AT);
  const broken = standing({ error: 'site.yml is gone' });
  const message = messageOf(broken, told, undefined, 0)!;
  t.deepEqual([message.why, message.resolved], [['trouble'], []]);
  const after = toldNow(broken, told, AT);
  t.deepEqual(messageOf(standing({ findings: [finding('h1', 'persisting')] }), after, undefined, 0)!.why, ['recovered']);
  t.deepEqual(messageOf(standing({ findings: [finding('h1', 'resolved')] }), after, undefined, 0)!.why, ['resolved', 'recovered']);
});

test('a reminder comes for what stands, and only after its time', (t) => {
  const drifted = standing({ findings: [finding('h1', 'persisting')] });
  const told = toldNow(drifted, undefined, AT);
  const hour = 3_600_000;
  t.is(messageOf(drifted, told, 86_400, Date.parse(AT) + 23 * hour), undefined);
  t.deepEqual(messageOf(drifted, told, 86_400, Date.parse(AT) + 24 * hour)!.why, ['reminder']);
  t.is(messageOf(drifted, told, undefined, Date.parse(AT) + 1000 * hour), undefined);
  t.is(messageOf(standing({}), toldNow(standing({}), told, AT), 86_400, Date.parse(AT) + 1000 * hour), undefined);
});

test('a command that never ends is ended with what it started; secrets are masked for it and in what it says', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'muster-tell-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const why = await runCommand(`sleep 1000 & echo $! >${dir}/pid; wait`, {}, process.env, 0.5);
  t.is(why, 'ended after 0.5 s');
  // Ended: gone, or waiting for init to take it away.
  const pid = (await readFile(`${dir}/pid`, 'utf8')).trim();
  t.regex(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone'), /^gone|\) [ZX] /);
  mask.add('hunter22');
  t.is(await runCommand(`cat >${dir}/got; echo said hunter22 >&2; false`, { text: 'is hunter22' }, process.env), 'exit status 1: said ********');
  t.deepEqual(JSON.parse(await readFile(`${dir}/got`, 'utf8')), { text: 'is ********' });
  t.is(await runCommand('sleep 1000 >&2 & exit 0', { long: 'x'.repeat(1_000_000) }, process.env), undefined, 'neither what it leaves behind nor what it does not read is waited for');
  t.is(await runCommand('no-such-command-here', {}, process.env).then((text) => text?.replace(/:.*/s, '')), 'exit status 127');
});

test('durations', (t) => {
  t.deepEqual(['90s', '15m', '24h', '7d', '0m', '1.5h', '15', 'm', '1w', '-1s'].map(parseDuration), [90, 900, 86_400, 604_800, undefined, undefined, undefined, undefined, undefined, undefined]);
});
