import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import { muster } from './muster.js';
import { folder } from './folder.js';

const wrong: { [title: string]: { args: string[]; says: RegExp } } = {
  'no verb': { args: [], says: /which verb/ },
  'a misspelt verb': { args: ['appli', 'x.yml'], says: /there is no verb "appli"; did you mean "apply"\?/ },
  'an unknown verb': { args: ['xyzzy'], says: /there is no verb "xyzzy"/ },
  'a misspelt flag': { args: ['apply', 'x.yml', '--limt', 'web'], says: /unknown argument "limt"; did you mean --limit\?/ },
  'a flag of two words, misspelt': { args: ['apply', 'x.yml', '--skip-tag', 'web'], says: /^muster: unknown argument "skip-tag"; did you mean --skip-tags\?\n$/ },
  'a flag without its value': { args: ['apply', 'x.yml', '-l'], says: /-l needs a value/ },
  'an unknown flag that takes the playbook for its value': { args: ['apply', '--limt', 'x.yml'], says: /unknown argument "limt"; did you mean --limit\?/ },
  'a flag that takes the playbook for its value': { args: ['apply', '--key-file', 'x.yml'], says: /usage: muster apply/ },
  'no playbook': { args: ['plan'], says: /usage: muster plan <playbook\.\.>/ },
  'a playbook that is not there': { args: ['apply', 'nope.yml'], says: /there is no playbook nope\.yml/ },
  'an inventory that is not there': { args: ['inventory', 'list', '-i', 'nope'], says: /there is no inventory nope/ },
  'forks that are no number': { args: ['apply', 'package.json', '-f', 'many'], says: /--forks must be a whole number/ },
  'variables that are none': { args: ['apply', 'package.json', '-e', 'novalue'], says: /expected key=value/ },
  'a file of variables that is not there': { args: ['apply', 'package.json', '-e', '@nope.yml'], says: /-e @nope\.yml: there is no such file/ },
  'an unknown output': { args: ['apply', 'package.json', '--output', 'xml'], says: /output/ },
  'exec with nothing to run': { args: ['exec', 'all'], says: /what is to be run/ },
  'exec of a module with a misspelt argument': { args: ['exec', 'all', '-m', 'apt', '-a', 'nme=x'], says: /^muster: apt has no parameter "nme"; did you mean "name"\?\n/ },
  'exec of a module that lacks an argument': { args: ['exec', 'all', '-m', 'copy'], says: /^muster: copy needs "dest"/ },
  'exec with both forms': { args: ['exec', 'all', '-m', 'ping', '--', 'uptime'], says: /either -m and -a or -- COMMAND/ },
  'a subcommand missing': { args: ['inventory'], says: /list, graph or host/ },
  'a group that is not there': { args: ['inventory', 'graph', 'nope', '-i', 'web1,'], says: /there is no group "nope"/ },
  'a schedule of nothing': { args: ['schedule', '--every', '5m'], says: /which playbooks\? usage: muster schedule/ },
  'a schedule without how often': { args: ['schedule', 'package.json'], says: /how often\? --every 15m/ },
  'a schedule that divides no hour': { args: ['schedule', 'package.json', '--every', '7m', '--with', 'cron', '--print'], says: /every "7m" cannot be scheduled; an hour or a day must be a multiple of it/ },
  'a schedule that asks': { args: ['schedule', 'package.json', '--every', '5m', '-K'], says: /-K asks, and nobody will be there to answer/ },
  'a schedule that asks for a vault': { args: ['schedule', 'package.json', '--every', '5m', '--vault-id', 'dev@prompt'], says: /--vault-id dev@prompt asks, and nobody will be there to answer/ },
  'a splay beyond the interval': { args: ['schedule', 'package.json', '--every', '5m', '--splay', '6m', '--print'], says: /--splay takes a duration, at most 5m/ },
  'a schedule for a user that is not there': { args: ['schedule', 'package.json', '--every', '5m', '--run-as', 'nobody-of-that-name', '--print'], says: /there is no user "nobody-of-that-name" here|--run-as another user is for root/ },
  'a password without a terminal': { args: ['apply', 'package.json', '-K'], says: /cannot ask for the become password: there is no terminal/ },
};

for (const [title, { args, says }] of Object.entries(wrong)) {
  test(`exit 1: ${title}`, async (t) => {
    const ran = await muster(args);
    t.is(ran.code, 1);
    t.regex(ran.stderr, says);
    t.is(ran.stdout, '');
    t.notRegex(ran.stderr, /internal error/);
  });
}

test('--version and --help, of Muster and of each verb', async (t) => {
  t.regex((await muster(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  const help = await muster(['--help']);
  t.is(help.code, 0);
  for (const verb of ['apply', 'plan', 'drift', 'schedule', 'exec', 'facts', 'inventory', 'lint', 'doc', 'lab']) {
    t.regex(help.stdout, new RegExp(`muster ${verb}`));
    const of = await muster([verb, '--help']);
    t.is(of.code, 0, verb);
    t.regex(of.stdout, /Options:/);
  }
});

test('inventory list and graph', async (t) => {
  const list = await muster(['inventory', 'list', 'all:!web3', '-i', 'web[1:3],', '-i', 'db1,']);
  t.is(list.stdout, 'web1  ungrouped\nweb2  ungrouped\ndb1   ungrouped\n');
  const graph = await muster(['inventory', 'graph', '-i', 'web1,db1,']);
  t.is(graph.stdout, '@all:\n  |--@ungrouped:\n  |  |--web1\n  |  |--db1\n');
  const json = await muster(['inventory', 'list', '-i', 'web1,', '--output', 'json']);
  t.deepEqual(JSON.parse(json.stdout), { host: 'web1', groups: ['ungrouped'] });
});

test('a slow reader gets everything, one that leaves is no error', async (t) => {
  const piped = async (reader: string) => {
    const script = `{ "$0" dist/cli/main.js inventory list -i 'host[1:30000],'; echo $? >&2; } | ${reader}`;
    return promisify(execFile)('sh', ['-c', script, process.execPath]);
  };
  t.deepEqual(await piped('{ sleep 1; wc -l; }'), { stdout: '30000\n', stderr: '0\n' });
  t.deepEqual(await piped('head -n 1'), { stdout: 'host1      ungrouped\n', stderr: '0\n' });
});

test('a slow reader gets the last line of a run, however long it is', async (t) => {
  const cwd = await folder(t, { 'site.yml': '- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: here}\n' });
  // What Node gives its children is no pipe but a socket, which keeps nobody waiting.
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'apply', 'site.yml', '-i', 'host[1:3000],', '--output', 'json'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  await sleep(3000);
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  t.is(Object.keys((JSON.parse(lines.at(-1)!) as { hosts: object }).hosts).length, 3000);
});

test('where output cannot be written, the work goes on', async (t) => {
  const script = `"$0" dist/cli/main.js exec localhost -- true > /dev/full; echo $? >&2`;
  const { stderr } = await promisify(execFile)('sh', ['-c', script, process.execPath]);
  t.regex(stderr, /^muster: output cannot be written \(ENOSPC.*\n0\n$/);
});

test('exit 1: a journal that cannot be kept', async (t) => {
  const dir = await folder(t, { 'muster.yml': 'journal: file/runs\n', file: '' });
  const ran = await muster(['exec', 'localhost', '--', 'touch', 'done'], { cwd: dir });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /^the journal cannot be kept: ENOTDIR.*; set "journal" in muster\.yml/);
  t.false(existsSync(join(dir, 'done')));
});

test('exit 1: no inventory', async (t) => {
  const ran = await muster(['inventory', 'list'], { cwd: await folder(t, {}) });
  t.is(ran.code, 1);
  t.regex(ran.stderr, /which inventory\?/);
});

test('inventory host shows each variable and where it was written', async (t) => {
  const dir = await folder(t, {
    'hosts.yml': 'all:\n  hosts:\n    web1:\n      port: 80\n',
    'group_vars/all.yml': 'site: example\n',
  });
  const ran = await muster(['inventory', 'host', 'web1', '-i', 'hosts.yml', '-e', 'extra=1'], { cwd: dir });
  t.is(ran.stderr, '');
  t.regex(ran.stdout, /# hosts\.yml:4\nport: 80\n/);
  t.regex(ran.stdout, /# .*group_vars\/all\.yml:1\nsite: example\n/);
  t.regex(ran.stdout, /extra: '1'\n/);
});

test('what is printed into a closed pipe is no error', async (t) => {
  const ran = await muster(['inventory', 'list', '-i', 'web[1:20000],'], { closeStdout: true });
  t.is(ran.stderr, '');
  t.is(ran.code, 0);
});

test('doc lists the modules, and shows one', async (t) => {
  const list = await muster(['doc']);
  t.regex(list.stdout, /^copy +\S/m);
  const copy = await muster(['doc', 'ansible.builtin.copy']);
  t.is(copy.code, 0);
  t.regex(copy.stdout, /Parameters\n[^]*dest {2}path, required[^]*Examples\n/);
  const typo = await muster(['doc', 'coppy']);
  t.is(typo.code, 1);
  t.regex(typo.stderr, /there is no module "coppy"; did you mean "copy"\?/);
});
