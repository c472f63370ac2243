import test from 'ava';
import { ExecReporter } from '../../src/report/exec.js';
import { FactsReporter } from '../../src/report/facts.js';
import { JsonReporter } from '../../src/report/json.js';
import type { Event, Recap, TaskResult } from '../../src/report/events.js';

const origin = { file: 'exec', line: 1, column: 1 };

function result(host: string, status: TaskResult['status'], data: { [key: string]: unknown }, error?: TaskResult['error']): Event {
  return { event: 'result', host, id: '1', task: 'command', origin, delegate: undefined, result: { status, message: undefined, changes: [], data, error, seconds: 0 } };
}

function collect() {
  const written: string[] = [];
  return { written, output: { write: (text: string) => void written.push(text), colour: false, columns: () => 80, verbosity: 0 } };
}

test('NDJSON ends with the recap in its documented form', (t) => {
  const { written, output } = collect();
  const json = new JsonReporter(output.write);
  const recap: Recap = { unknown: 0, ignored: 0, rescued: 0, skipped: 4, unreachable: 0, failed: 0, changed: 2, ok: 1 };
  json.event({ event: 'busy', host: 'web1', task: 'x', id: '1' });
  json.event({ event: 'note', message: 'line\nbreak' });
  json.event({ event: 'recap', hosts: { web1: recap }, seconds: 3, exitCode: 0 });
  json.close();
  t.deepEqual(written, [
    '{"event":"note","message":"line\\nbreak"}\n',
    '{"event":"recap","hosts":{"web1":{"ok":1,"changed":2,"failed":0,"unreachable":0,"skipped":4,"rescued":0,"ignored":0,"unknown":0}}}\n',
  ]);
});

test('exec shows identical answers once', (t) => {
  const { written, output } = collect();
  const exec = new ExecReporter(output);
  exec.event(result('web1', 'changed', { rc: 0, stdout: 'active', stderr: '' }));
  exec.event(result('db1', 'changed', { rc: 0, stdout: '\x1b[2Jowned', stderr: '' }));
  exec.event(result('web2', 'changed', { rc: 0, stdout: 'active', stderr: '' }));
  exec.event(result('lb1', 'unreachable', {}, { message: 'connection refused', doing: undefined, command: undefined, rc: undefined, stderr: undefined, stdout: undefined, remedy: undefined, origin: undefined }));
  exec.close();
  t.is(written.join(''), 'web1, web2 | CHANGED rc=0\nactive\ndb1 | CHANGED rc=0\n\\x1b[2Jowned\nlb1 | UNREACHABLE\nconnection refused\n');
});

test('facts are JSON, one host a line when asked', (t) => {
  const { written, output } = collect();
  const facts = new FactsReporter(output, true, () => {});
  facts.event(result('web1', 'ok', { ansible_facts: { ansible_os_family: 'Debian' } }));
  t.deepEqual(JSON.parse(written[0]!), { host: 'web1', ansible_facts: { ansible_os_family: 'Debian' } });
});
