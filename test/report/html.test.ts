import test from 'ava';
import fc from 'fast-check';
import type { TaskResult } from '../../src/report/events.js';
import { htmlReport, type Dated, type Page } from '../../src/report/html.js';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 2) + seconds * 1000).toISOString();
const origin = { file: 'site.yml', line: 4, column: 7 };
const result = (more: Partial<TaskResult>): TaskResult => ({ status: 'ok', message: undefined, changes: [], data: {}, error: undefined, seconds: 1, ...more });
const counts = { ok: 1, changed: 0, failed: 0, unreachable: 0, skipped: 0, rescued: 0, ignored: 0, unknown: 0 };

function page(events: Dated[], more: Partial<Page> = {}): string {
  return htmlReport({
    run: '20260102T000000Z-abcdef', verb: 'apply', playbooks: ['site.yml'], inventory: ['hosts'], limit: undefined, by: 'root@here', check: false, at: new Date(at(0)),
    end: { hosts: { web1: { ...counts, changed: 1 } }, seconds: 10, exitCode: 0 }, events, looks: [], ...more,
  });
}

/** A task on a host from 1 s to 3 s of the run. */
function task(text: string, host: string, more: Partial<TaskResult>): Dated[] {
  return [
    { at: at(0.5), event: 'task', task: text, id: text, origin, handler: false, action: 'copy' },
    { at: at(1), event: 'busy', host, task: text, id: text },
    { at: at(3), event: 'result', host, id: text, task: text, origin, delegate: undefined, result: result(more) },
  ];
}

test('what changed is told with its diff, once for hosts where it is the same; what was right is only in the timeline', (t) => {
  const change = { status: 'changed' as const, changes: [{ field: 'content', from: 'a', to: 'b', diff: '--- /x\n+++ /x\n@@ -1,1 +1,1 @@\n-old\n+new\n', secret: false }, { field: 'mode', from: '0644', to: '0600', diff: undefined, secret: false }] };
  const html = page([...task('Write', 'web1', change), ...task('Write', 'web2', change), ...task('Look', 'web1', {})]);
  t.regex(html, /<b>Write<\/b> <span class="hosts">web1, web2<\/span>/);
  t.regex(html, /<del>-old<\/del>\n<ins>\+new<\/ins>/);
  t.regex(html, /<b>mode<\/b> <del>0644<\/del> &#8594; <ins>0600<\/ins>/);
  t.notRegex(html, /<b>Look<\/b> <span class="hosts">/);
  t.regex(html, /<i class="changed" style="left:10%;width:20%" title="Write: changed, 2\.0s, after 1\.0s">/);
  t.regex(html, /<i class="ok" style="left:10%;width:20%" title="Look: /);
});

test('failures come first, with all that helps', (t) => {
  const error = { message: 'it broke', doing: 'running shell', command: 'false', rc: 1, stderr: 'why', stdout: undefined, remedy: 'mend it', origin: undefined };
  const html = page([...task('Change', 'web1', { status: 'changed' }), ...task('Break', 'web1', { status: 'failed', error })]);
  t.true(html.indexOf('<b>Break</b>') < html.indexOf('<b>Change</b>'));
  t.regex(html, /it broke.*command.*false.*rc.*1.*stderr.*why.*try.*mend it/s);
});

test('secret changes show neither side', (t) => {
  const html = page(task('Write', 'web1', { status: 'changed', changes: [{ field: 'password', from: undefined, to: undefined, diff: undefined, secret: true }] }));
  t.regex(html, /<b>password<\/b> changes \(secret, not shown\)/);
});

test('a run that did not end says so', (t) => {
  t.regex(page(task('Write', 'web1', {}), { end: undefined }), /did not end[^]*what it told within 3\.0s is shown/);
});

test('drift over the last runs: a row for each host and task, a column for each run', (t) => {
  const look = (hour: number, drifted: string[], trouble?: 'unreachable') => ({ run: `run${hour}`, at: new Date(Date.UTC(2026, 0, 1, hour)), hosts: new Map([['web1', { drifted: new Set(drifted), trouble }]]) });
  const html = page([], { looks: [look(1, []), look(2, ['Write']), look(3, [], 'unreachable')] });
  t.regex(html, /web1<\/th><td class="task">Write<\/td><td class="ok"[^>]*>&#183;<\/td><td class="changed"[^>]*>&#9679;<\/td><td class="unreachable"[^>]*>!<\/td>/);
  t.regex(page([], { looks: [look(1, [])] }), /None in 1 run since/);
  t.regex(page([]), /No <code>muster drift<\/code> of these playbooks is kept/);
});

test('no text becomes markup, whatever stands in it and wherever it comes in', (t) => {
  const hostile = fc.array(fc.constantFrom('<zz>', '</script>', '"zz=', "'zz=", '&zz;', '--><zz', ']]>', '\x1b[31m', '\u202e', '\0', 'text', '\n', '@@', '+', '-'), { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
  const expected = tagsOf(page(probe(() => 'text'), { by: 'text', limit: 'text', playbooks: ['text'], looks: looks('text') }));
  fc.assert(
    fc.property(hostile, (text) => {
      const html = page(probe(() => text), { by: text, limit: text, playbooks: [text], looks: looks(text) });
      return !/<zz|"zz|'zz|[\x00-\x08\x0b-\x1f\u202e]/.test(html) && tagsOf(html) <= expected + 200;
    }),
  );
  t.pass();
});

const looks = (text: string) => [{ run: text, at: new Date(0), hosts: new Map([[text, { drifted: new Set([text]), trouble: undefined }]]) }];
const tagsOf = (html: string) => html.split('<').length;

/** One of everything that a page tells, with the same text wherever text may stand. */
function probe(text: () => string): Dated[] {
  const here = { file: text(), line: 1, column: 1 };
  const error = { message: text(), doing: text(), command: text(), rc: 1, stderr: text(), stdout: text(), remedy: text(), origin: here };
  const bad = result({ status: 'failed', error, message: text() });
  const changed = result({ status: 'changed', changes: [{ field: text(), from: text(), to: { [text()]: [text()] }, diff: undefined, secret: false }, { field: text(), from: 1, to: 2, diff: text(), secret: false }] });
  return [
    { at: at(0), event: 'task', task: text(), id: '1', origin: here, handler: true, action: text() },
    { at: at(1), event: 'item', host: text(), id: '1', label: text(), result: changed },
    { at: at(1), event: 'result', host: text(), id: '1', task: text(), origin: here, delegate: `${text()}2`, result: changed },
    { at: at(1), event: 'result', host: text(), id: '2', task: text(), origin: here, delegate: undefined, result: bad },
    { at: at(2), event: 'warning', message: text(), origin: here, host: text() },
    { at: at(2), event: 'note', message: text() },
    { at: at(2), event: 'confirm', host: text(), block: text(), origin: here, state: 'left', message: text() },
  ];
}
