import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { folder } from './folder.js';
import { muster } from './muster.js';

const SITE = `- hosts: all
  gather_facts: false
  tasks:
    - name: Write the greeting
      copy:
        content: "hello {{ inventory_hostname }}\\n"
        dest: "{{ playbook_dir }}/out-{{ inventory_hostname }}"
        mode: "0644"
`;
const HERE = ['-c', 'local', '-i', 'h1,h2,h3,'];

test('plan, apply, plan again: exit 2 with a diff, 0, 0', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const plan = await muster(['plan', 'site.yml', ...HERE], { cwd });
  t.is(plan.code, 2, plan.stderr);
  t.regex(plan.stdout, /would change Write the greeting · h1\n[^]*\+hello h1\n/);
  t.regex(plan.stdout, /^h1 {2}ok=1 changed=1 unreachable=0 failed=0$/m);
  await t.throwsAsync(readFile(join(cwd, 'out-h1')), { code: 'ENOENT' });
  t.is((await muster(['apply', 'site.yml', '--verify', ...HERE], { cwd })).code, 0);
  t.is(await readFile(join(cwd, 'out-h2'), 'utf8'), 'hello h2\n');
  const again = await muster(['plan', 'site.yml', ...HERE], { cwd });
  t.is(again.code, 0);
  t.notRegex(again.stdout, /would change|greeting/, 'what is right is not shown');
});

test('apply --check is a plan, which shows texts with --diff only', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const short = await muster(['apply', '-C', '-vvv', 'site.yml', ...HERE], { cwd });
  t.is(short.code, 2);
  t.regex(short.stdout, /would change/);
  t.notRegex(short.stdout, /hello h2/);
  t.regex((await muster(['apply', '-C', '-D', 'site.yml', ...HERE], { cwd })).stdout, /^ *\+hello h2/m);
});

test('drift is silent when clean, tells what drifted, and --fix brings it back', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  await muster(['apply', 'site.yml', ...HERE], { cwd });
  t.deepEqual(await muster(['drift', 'site.yml', ...HERE], { cwd }), { code: 0, stdout: '', stderr: '' });
  await writeFile(join(cwd, 'out-h2'), 'edited by hand\n');
  const found = await muster(['drift', 'site.yml', ...HERE], { cwd });
  t.is(found.code, 2);
  t.is(found.stdout, 'drifted      Write the greeting · h2 (new)\n             content\n');
  const fixed = await muster(['drift', 'site.yml', '--fix', ...HERE], { cwd });
  t.is(fixed.code, 0);
  t.regex(fixed.stdout, /^corrected {4}Write the greeting · h2 \(drifted since .*\)\n/);
  t.is(await readFile(join(cwd, 'out-h2'), 'utf8'), 'hello h2\n');
});

test('a failure: exit 3, with what was done, the command, its status and stderr; an unreachable host: exit 4', async (t) => {
  const cwd = await folder(t, { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Break\n      shell: echo oops >&2; exit 7\n' });
  const ran = await muster(['apply', 'site.yml', ...HERE], { cwd });
  t.is(ran.code, 3);
  t.regex(ran.stdout, /^failed {7}Break · h\[1-3\]\n[^]*command[^]*rc {7}7\n[^]*stderr {3}oops\n[^]*at {7}site\.yml:4:7\n/m);
  t.is((await muster(['apply', 'site.yml', '-i', 'no-such-host.invalid,'], { cwd })).code, 4);
});

test('NDJSON: every line is JSON, the last is the recap', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const ran = await muster(['apply', 'site.yml', '--output', 'json', ...HERE], { cwd });
  const events = ran.stdout.trim().split('\n').map((line) => JSON.parse(line) as { event: string; hosts?: object });
  t.is(events[0]!.event, 'run');
  const counts = { ok: 1, changed: 1, failed: 0, unreachable: 0, skipped: 0, rescued: 0, ignored: 0, unknown: 0 };
  t.deepEqual(events.at(-1), { event: 'recap', hosts: { h1: counts, h2: counts, h3: counts } });
});

test('a limit that matches nothing is refused before any host is touched', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const ran = await muster(['apply', 'site.yml', '-l', 'h4', ...HERE], { cwd });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /the limit "h4" matches no host or group; did you mean "h1"\?/);
});

test('the lists touch no host', async (t) => {
  const cwd = await folder(t, { 'site.yml': SITE });
  const ran = await muster(['apply', 'site.yml', '--list-tasks', '--list-hosts', '--list-tags', '-l', 'h1,h3', '-i', 'h1,h2,h3,'], { cwd });
  t.is(ran.code, 0);
  t.is(ran.stdout, 'playbook: site.yml\n\n  play #1 (all): all\n    hosts (2):\n      h1\n      h3\n    tasks:\n      Write the greeting\n    tags: []\n');
});

test('exec: words are data, identical answers are shown once', async (t) => {
  const words = await muster(['exec', 'all', ...HERE, '--', 'printf', '%s|', '{{ x }}', 'a b', '$HOME']);
  t.is(words.stdout, 'h[1-3] | CHANGED rc=0\n{{ x }}|a b|$HOME|\n');
  t.is(words.code, 0);
  const failed = await muster(['exec', 'h1', ...HERE, '-m', 'shell', '-a', 'echo $((1+1)); exit 4']);
  t.is(failed.stdout, 'h1 | FAILED rc=4\n2\n');
  t.is(failed.code, 3);
  const typo = await muster(['exec', 'h1', ...HERE, '-m', 'shel', '-a', 'x']);
  t.is(typo.stderr, 'muster: there is no module "shel"; did you mean "shell"?\n');
  t.is(typo.code, 1);
});

test('facts are JSON', async (t) => {
  const ran = await muster(['facts', 'all', '-c', 'local', '-i', 'h1,h2,', '--output', 'json']);
  const hosts = ran.stdout.trim().split('\n').map((line) => JSON.parse(line) as { host: string; ansible_facts: object });
  t.deepEqual(hosts.map(({ host }) => host).sort(), ['h1', 'h2']);
  t.true(hosts.every(({ ansible_facts }) => Object.keys(ansible_facts).length > 10));
});

test('Ctrl-C: what runs ends, nothing new begins, exit 130', async (t) => {
  const cwd = await folder(t, {
    'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - shell: echo begun > {{ playbook_dir }}/begun; while [ ! -e {{ playbook_dir }}/go ]; do sleep 0.1; done; echo ended > {{ playbook_dir }}/ended\n    - file: path={{ playbook_dir }}/never state=touch\n',
  });
  const child = spawn(process.execPath, [join(process.cwd(), 'dist', 'cli', 'main.js'), 'apply', 'site.yml', '-c', 'local', '-i', 'h1,'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let text = '';
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString();
    // What was waited for may go on once Muster has said that it waits.
    if (text.includes('Interrupted')) void writeFile(join(cwd, 'go'), '');
  });
  while (!(await readFile(join(cwd, 'begun')).catch(() => undefined))) await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGINT');
  t.is((await closed)[0], 130);
  t.regex(text, /Interrupted: nothing new is begun; waiting for h1 \(shell\)/);
  t.is(await readFile(join(cwd, 'ended'), 'utf8'), 'ended\n');
  await t.throwsAsync(readFile(join(cwd, 'never')), { code: 'ENOENT' });
});
