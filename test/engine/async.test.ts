import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';
import { play } from './support.js';

const site = (tasks: string) => `- hosts: a\n  gather_facts: false\n  vars: {ansible_async_dir: "{{ root }}/jobs"}\n  tasks:\n${tasks}`;
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(50);
}

const folder = (rig: { folder: string }) => path.join(rig.folder, 'hosts/a/jobs');

test('a job goes on by itself, and async_status tells how it stands and what came of it', async (t) => {
  const { rig, data, summary, read } = await play(t, site(`    - name: work
      shell: "while [ ! -e {{ root }}/go ]; do sleep 0.1; done; echo 'so \\"it\\" is \\\\ ä'; echo two; echo bad >&2; exit 3"
      async: 60
      poll: 0
      register: work
    - {name: going, async_status: {jid: "{{ work.ansible_job_id }}"}, register: going}
    - assert: {that: [work is started, work is not finished, going.started == 1, going.finished == 0, going.results_file == work.results_file, going is not changed]}
    - {name: kept, slurp: {src: "{{ work.results_file }}"}, register: kept}
    - assert: {that: ["(kept.content | b64decode | from_json).ansible_job_id == work.ansible_job_id"]}
    - {name: go, shell: "touch {{ root }}/go"}
    - {name: ended, async_status: {jid: "{{ work.ansible_job_id }}"}, register: ended, until: ended is finished, retries: 100, delay: 0.1, ignore_errors: true}
    - {name: cleanup, async_status: {jid: "{{ work.ansible_job_id }}", mode: cleanup}, register: gone}
    - {name: none, async_status: {jid: "{{ work.ansible_job_id }}"}, ignore_errors: true}
    - {name: outside, async_status: {jid: "../x"}, ignore_errors: true}
    - {name: next, copy: {dest: "{{ root }}/next", content: x}, async: 20, poll: 0, register: next}
    - {name: copied, async_status: {jid: "{{ next.ansible_job_id }}"}, register: copied, until: copied.finished, retries: 100, delay: 0.1}
    - {name: converged, copy: {dest: "{{ root }}/next", content: x}, async: 20, poll: 0, register: same}
    - {name: right, async_status: {jid: "{{ same.ansible_job_id }}"}}
`));
  t.deepEqual(rig.failures(), ['a: non-zero return code', 'a: could not find job', 'a: could not find job']);
  t.is(summary.hosts.get('a')!.ignored, 3);
  const ended = data('ended');
  t.like(ended, { rc: 3, stdout: 'so "it" is \\ ä\ntwo', stdout_lines: ['so "it" is \\ ä', 'two'], stderr: 'bad', finished: true, started: true, changed: true });
  t.regex(ended.delta, /^0:00:/);
  t.is(data('cleanup').erased, path.join(folder(rig), data('work').ansible_job_id));
  t.like(data('copied'), { changed: true, finished: true, dest: path.join(rig.folder, 'hosts/a/next') });
  t.like(data('right'), { changed: false, finished: true });
  t.is(await read('a/next'), 'x');
  t.deepEqual(readdirSync(folder(rig)), [data('next').ansible_job_id], 'all but its result');
});

test('with poll the task waits for its job, and ends it where it takes too long', async (t) => {
  const { rig, data, summary } = await play(t, site(`    - {name: one, shell: echo done, async: 60, poll: 0.1}
    - {name: late, shell: "echo $$ > {{ root }}/pid; sleep 600", async: 1, poll: 0.1, ignore_errors: true}
    - {name: loop, command: "echo {{ item }}", async: 60, poll: 0, loop: [x, y], register: loop}
    - {name: both, async_status: {jid: "{{ item.ansible_job_id }}"}, loop: "{{ loop.results }}", loop_control: {label: "{{ item.item }}"}, register: both, until: both is finished, retries: 100, delay: 0.1}
`));
  t.like(data('one'), { stdout: 'done', rc: 0, finished: true, changed: true });
  t.is(data('both').results.map((each: any) => each.stdout).join(), 'x,y');
  t.regex(rig.failures()[0]!, /async task did not complete within the requested time - 1s|Timeout exceeded/);
  t.is(summary.hosts.get('a')!.failed, 0);
  const pid = readFileSync(path.join(rig.folder, 'hosts/a/pid'), 'utf8').trim();
  await until(() => !existsSync(`/proc/${pid}`));
  await until(() => !readdirSync(folder(rig)).some((name) => name.endsWith('.out')));
});

test('in a plan no job is started, and what hangs on one is not known', async (t) => {
  const { rig, told, has } = await play(t, site(`    - {name: copy, copy: {dest: "{{ root }}/f", content: x}, async: 20, poll: 0, register: one}
    - {name: status, async_status: {jid: "{{ one.ansible_job_id }}"}, register: status, until: status is finished}
    - {name: command, command: ls, async: 20, poll: 0, register: two}
    - {name: of command, async_status: {jid: "{{ two.ansible_job_id }}"}}
`), { check: true });
  t.deepEqual(rig.failures(), []);
  t.deepEqual(told, ['copy a changed', 'status a unknown', 'command a unknown', 'of command a unknown']);
  t.false(await has('a/jobs'));
});

test('a job is known to later runs, which find what it left on the host', async (t) => {
  const { rig, data } = await play(t, site(`    - {name: start, command: "sh {{ project }}/work.sh {{ project }}/go", async: 60, poll: 0}\n`), { files: { 'work.sh': 'while [ ! -e \"$1\" ]; do sleep 0.1; done\necho from the script\nexit 4\n' } });
  const { ansible_job_id: jid } = data('start');
  await rig.write({ 'site.yml': site(`    - {name: status, async_status: {jid: "${jid}"}, register: status, until: status is finished, retries: 100, delay: 0.1, ignore_errors: true}\n`) });
  await rig.write({ 'go': '' });
  await rig.run();
  t.like(data('status'), { rc: 4, stdout: 'from the script', finished: true, ansible_job_id: jid });
});

test('what a module that gives its result itself says on standard error is in the result of its job, and only there', async (t) => {
  const files = { 'library/noisy': "#!/bin/sh\n# WANT_JSON\necho '{\"changed\": false}'\necho loud >&2\n" };
  const { data } = await play(t, site(`    - {name: job, noisy: {}, async: 60, poll: 0.1}\n    - {name: task, noisy: {}}\n`), { files });
  t.is(data('job').stderr, 'loud\n');
  t.is(data('task').stderr, undefined);
});
