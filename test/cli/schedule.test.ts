import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { delayOf, parseEvery } from '../../src/schedule/job.js';
import { folder } from './folder.js';
import { muster } from './muster.js';

const SITE = '- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {content: "{{ word }}\\n", dest: "{{ playbook_dir }}/out"}\n';
/** What a shell, systemd and cron each have something to say about. */
const HARD = `a 'b' "c" $HOME %h \\d`;

/** Files of `schedule --print`, by the end of their name. */
async function printed(t: ExecutionContext, cwd: string, ...args: string[]): Promise<{ [kind: string]: string }> {
  const ran = await muster(['schedule', 'site.yml', '-i', 'h1,', '-c', 'local', '-e', `word=${JSON.stringify(HARD)}`, '--every', '15m', '--print', ...args], { cwd });
  t.is(ran.code, 0, ran.stderr);
  const files: { [kind: string]: string } = {};
  for (const part of ran.stdout.split(/^(?=# (?:\/|crontab of))/m)) {
    const [, path, text] = /^# (.*)\n([^]*)\n$/.exec(part)!;
    files[path!.startsWith('/etc/logrotate.d/') ? 'logrotate' : path!.includes('cron') ? 'cron' : path!.split('.').at(-1)!] = text!;
  }
  return files;
}

async function hardFolder(t: ExecutionContext): Promise<string> {
  const cwd = join(await folder(t, {}), `it's 100% $x`);
  await mkdir(cwd);
  await writeFile(join(cwd, 'site.yml'), SITE);
  return cwd;
}

test('the units: what was asked for, and right in the eyes of systemd', async (t) => {
  const cwd = await hardFolder(t);
  const files = await printed(t, cwd, '--with', 'systemd', '--fix', '--splay', '5m');
  t.deepEqual(Object.keys(files), ['service', 'timer']);
  const { service, timer } = files as { service: string; timer: string };
  t.regex(timer, /^OnCalendar=\*:0\/15\nRandomizedDelaySec=300\nFixedRandomDelay=true\nAccuracySec=1s\nPersistent=true$/m);
  t.true(service.includes(`\nWorkingDirectory=${cwd.replaceAll('%', '%%')}\n`));
  t.regex(service, /^Environment="PATH=(?:\/[^":]+:)*\/usr\/bin:[^"]*"$/m);
  t.regex(service, /^ExecStart="\/[^"]*node" "[^"]*\/main\.js" "drift" "site\.yml" .*"--fix" "--log=-"$/m);
  t.true(service.includes(String.raw`$$HOME %%h`));
  if (process.getuid!() === 0) t.regex(service, /^User=root$/m);
  const found = await promisify(execFile)('systemd-analyze', ['--version']).catch(() => undefined);
  if (!found) return t.log('there is no systemd-analyze here; test/e2e/schedule.test.ts has the units run');
  const dir = await folder(t, { 'muster-drift-x.service': service, 'muster-drift-x.timer': timer });
  const { stderr } = await promisify(execFile)('systemd-analyze', ['verify', join(dir, 'muster-drift-x.timer'), join(dir, 'muster-drift-x.service')]);
  t.notRegex(stderr, /muster-drift-x/);
});

test('the entry for cron, run as cron does', async (t) => {
  const cwd = await hardFolder(t);
  const { cron } = (await printed(t, cwd, '--with', 'cron', '--splay', '0', '--log', 'own.log')) as { cron: string };
  const line = cron.trimEnd().split('\n').at(-1)!;
  const fields = process.getuid!() === 0 ? /^\*\/15 \* \* \* \* root / : /^\*\/15 \* \* \* \* /;
  t.regex(line, fields);
  const command = line.replace(fields, '');
  t.notRegex(command.replaceAll('\\%', ''), /%/, 'each % is escaped, or cron would end the command there');
  const ran = await promisify(execFile)('/bin/sh', ['-c', command.replaceAll('\\%', '%')], { cwd: '/', env: { HOME: cwd } }).catch((error: { code: number; stdout: string }) => error);
  t.is((ran as { code?: number }).code, 2);
  t.regex(ran.stdout, /^drifted {6}copy · h1 \(new\)/);
  t.regex(await readFile(join(cwd, 'own.log'), 'utf8'), /^\S+ drift site\.yml hosts=1 drifted=1 new=1 .* exit=2\n$/);
  t.false(existsSync(join(cwd, 'out')));
  await promisify(execFile)('/bin/sh', ['-c', command.replaceAll('\\%', '%').replace(' --log', ' --fix --log')], { cwd: '/', env: { HOME: cwd } });
  t.is(await readFile(join(cwd, 'out'), 'utf8'), `${HARD}\n`);
});

test('how often, as systemd and cron say it', (t) => {
  const said = (text: string) => [parseEvery(text).seconds, parseEvery(text).calendar, parseEvery(text).cron];
  t.deepEqual(said('5m'), [300, '*:0/5', '*/5 * * * *']);
  t.deepEqual(said('1h'), [3600, '0/1:00', '0 */1 * * *']);
  t.deepEqual(said('60m'), said('1h'));
  t.deepEqual(said('6h'), [21_600, '0/6:00', '0 */6 * * *']);
  t.deepEqual(said('1d'), [86_400, '00:00', '0 0 * * *']);
  for (const text of ['0m', '7m', '45m', '5h', '2d', '90s', 'daily', '']) t.throws(() => parseEvery(text), { message: /cannot be scheduled/ });
});

test('machines begin apart, each always at the same time', (t) => {
  const delays = Array.from({ length: 200 }, (_, i) => delayOf('muster-drift-site', `ctl${i}`, 900));
  t.true(delays.every((delay) => delay >= 0 && delay < 900) && new Set(delays).size > 150);
  t.is(delayOf('muster-drift-site', 'ctl7', 900), delays[7]!);
  t.is(delayOf('muster-drift-site', 'ctl7', 0), 0);
});
