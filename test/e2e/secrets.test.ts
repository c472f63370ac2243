import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { encrypt } from '../../src/vault/format.js';
import { watchProcesses } from '../break/secrets.js';
import { startSshd, type Sshd } from '../connection/sshd.js';
import { folder } from '../cli/folder.js';
import { muster, type Ran } from '../cli/muster.js';

/**
 * Secrets of every kind are planted, and runs of every kind made over a real sshd; then nothing but the files that were
 * meant to hold them may: no output, journal, cache, command line, nor any file of the host.
 */
let sshd: Sshd;
test.before(async () => {
  sshd = await startSshd();
});
test.after.always(() => sshd?.stop());

/** Unlike anything else on this machine; with what quoting, JSON, regular expressions and YAML make something of. */
const SECRETS = {
  file: 'Planted-Whole-7a1b',
  inline: `Planted-"Inline" $(x) 'q' 7a2b`,
  composed: 'Planted-Composed-7a3b',
  nested: 'Planted-Nested-7a4b',
  param: 'Planted-Param-7a5b',
  noLog: 'Planted-NoLog-7a6b',
  key: 'Planted-Key-First-7a7b',
  keyEnd: 'Planted-Key-Last-7a8b',
  template: 'Planted-Template-7a9b',
  login: 'Planted-Login-7aab',
  extra: 'Planted-Extra-7acb',
  included: 'Planted-Included-7adb',
  password: 'Planted-Vault-Password-7aeb',
  script: 'Planted-Script-7afb',
};
const WORDS = Object.values(SECRETS);
/** As they look in base64 too, wherever a text has them. */
const TRACES = [...WORDS, ...WORDS.flatMap((word) => [word, `x${word}`, `xx${word}`].map((text) => Buffer.from(text).toString('base64').slice(4, 20)))];
const found = (text: string) => TRACES.filter((trace) => text.includes(trace) || text.includes(JSON.stringify(trace).slice(1, -1)));

const seal = (text: string) => encrypt(Buffer.from(text), Buffer.from(SECRETS.password));
const inline = (text: string) => `!vault |\n${seal(text).trimEnd().replace(/^/gm, '          ')}`;

function project(out: string): { [path: string]: string } {
  return {
    pw: `${SECRETS.password}\n`,
    'hosts.yml': `all:
  vars: {ansible_user: root, ansible_host: 127.0.0.1, ansible_port: ${sshd.port}, ansible_ssh_private_key_file: ${sshd.key}}
  hosts:
    box:
      ansible_become_password: ${inline(SECRETS.login).replace(/^ {10}/gm, '            ')}
    lost: {ansible_port: 1}
`,
    'muster.yml': `inventory: hosts.yml\nknown_hosts: ${sshd.knownHosts}\nssh_config: /dev/null\n`,
    'group_vars/all/vault.yml': seal(`whole: ${SECRETS.file}\ncomposed: "{{ whole }} and ${SECRETS.composed}"\nusers: [{name: a, password: ${SECRETS.nested}}, {name: b, password: "${SECRETS.nested}2"}]\n`),
    'group_vars/all/plain.yml': `inline: ${inline(SECRETS.inline)}\nfrom_both: "{{ inline }}:{{ whole }}"\n`,
    'extra.yml': seal(`extra: ${SECRETS.extra}\n`),
    'vars/more.yml': seal(`included: ${SECRETS.included}\n`),
    'files/key.pem': seal(`-----BEGIN-----\n${SECRETS.key}\n${SECRETS.keyEnd}\n-----END-----\n`),
    'files/report.sh': seal(`#!/bin/sh\n# ${SECRETS.script}\necho ${SECRETS.script}\ncat <<'END' >&2\n${SECRETS.script}\nEND\n`),
    'templates/whole.conf.j2': seal(`${SECRETS.template}\n{{ inline }}\n`),
    'templates/part.conf.hbs': 'password {{inline}}\nother line\nencoded {{b64encode whole}}\n{{#each users}}user {{this.name}} {{this.password}}\n{{/each}}',
    'site.yml': `- name: "Play for {{ whole }}"
  hosts: all
  gather_facts: false
  tasks:
    - name: "Task for {{ inline }}"
      copy: {content: "one {{ composed }}\\ntwo {{ inline }}\\n", dest: ${out}/composed, mode: "0600"}
      notify: tell
    - template: {src: part.conf.hbs, dest: ${out}/part, mode: "0600"}
    - template: {src: whole.conf.j2, dest: ${out}/whole, mode: "0600"}
    - copy: {src: key.pem, dest: ${out}/key, mode: "0600"}
    - lineinfile: {path: ${out}/lines, line: "password={{ from_both }}", create: true, mode: "0600"}
    - blockinfile: {path: ${out}/lines, block: "{{ users | to_nice_yaml }}"}
    - include_vars: more.yml
    - debug: {msg: "{{ included }} {{ extra }} {{ composed }}"}
    - debug: {var: users}
    - debug: {msg: "{{ hostvars[inventory_hostname] }}"}
    - set_fact: {made: "{{ whole | upper }}{{ whole }}", list: "{{ users | map(attribute='password') }}"}
    - debug: {var: list}
    - name: A command echoes it
      shell: cat; printf '%s\\n' "$SECRET" >&2; printf '%s' "$SECRET" | base64 -w0; exit "$CODE"
      args: {stdin: "{{ inline }}"}
      environment: {SECRET: "{{ from_both }}", CODE: "0"}
      register: echoed
    - debug: {var: echoed}
    - name: Each user
      shell: cat
      args: {stdin: "{{ item.password }}"}
      loop: "{{ users }}"
      register: each
    - debug: {var: each}
    - script: report.sh
    - name: Quiet
      shell: cat
      args: {stdin: ${SECRETS.noLog}}
      no_log: true
      register: quiet
    - name: A parameter that is secret
      uri: {url: "http://127.0.0.1:1/", url_username: u, url_password: ${SECRETS.param}, force_basic_auth: true}
      ignore_errors: true
    - assert: {that: "whole != '${SECRETS.file}'", fail_msg: "it was {{ whole }}"}
      ignore_errors: true
    - assert: {that: "inline == 'x'"}
      ignore_errors: true
    - command: /bin/sh -c 'cat >&2; exit 3'
      args: {stdin: "{{ composed }}"}
      ignore_errors: true
    - slurp: {src: ${out}/whole}
      register: slurped
      ignore_errors: true
    - debug: {var: slurped}
    - copy: {src: "{{ whole }}", dest: ${out}/never}
      ignore_errors: true
    - debug: {msg: "{{ whole.nothing }}"}
      ignore_errors: true
    - debug: {msg: "{{ (whole ~ '{{') | int + users }}"}
      ignore_errors: true
    - name: The last one fails
      shell: cat; exit 9
      args: {stdin: "{{ from_both }}"}
      when: fails is defined
  handlers:
    - name: tell
      shell: cat
      args: {stdin: "{{ composed }}"}
`,
  };
}

const RUNS: { [what: string]: string[] } = {
  'apply, quietly': ['apply'],
  'apply with diffs and all that can be told': ['apply', '-D', '-vvv', '--stats', '--verify'],
  'apply for programs': ['apply', '-D', '-vvv', '--output', 'json'],
  plan: ['plan', '-vvv'],
  drift: ['drift', '-v'],
  'drift --fix': ['drift', '--fix', '--output', 'json'],
  'a failure': ['apply', '-D', '-vvv', '-e', 'fails=yes'],
};

test('no secret is seen anywhere but in the files it was meant for', async (t) => {
  t.timeout(300_000, 'many runs');
  const cwd = await folder(t, {});
  const out = join(cwd, 'host');
  const inputs = project(out);
  for (const [path, text] of Object.entries(inputs)) {
    await mkdir(join(cwd, path, '..'), { recursive: true });
    await writeFile(join(cwd, path), text);
  }
  await mkdir(out);
  const end = watchProcesses();
  const ran: { [what: string]: Ran } = {};
  for (const [what, [verb, ...args]] of Object.entries(RUNS)) {
    // What is wrong there is put right, with what was there before in the diff.
    await writeFile(join(out, 'composed'), `one ${SECRETS.composed} of old\n`);
    await rm(join(out, 'whole'), { force: true });
    ran[what] = await muster([verb!, 'site.yml', '--vault-password-file', 'pw', '-e', '@extra.yml', ...args], { cwd });
  }
  for (const args of [['inventory', 'host', 'box'], ['inventory', 'host', 'box', '--output', 'json'], ['lint', 'site.yml'], ['apply', 'site.yml', '--list-tasks'], ['exec', 'box', '-m', 'debug', '-a', 'msg={{ from_both }}'], ['exec', 'box', '-m', 'debug', '-a', 'var=hostvars', '--output', 'json']])
    ran[args.join(' ')] = await muster([...args, '--vault-password-file', 'pw'], { cwd });
  ran['the wrong password'] = await muster(['apply', 'site.yml', '--vault-password-file', 'hosts.yml'], { cwd });
  const lines = end();

  t.deepEqual(Object.entries(ran).map(([what, { code }]) => `${what}: ${code}`).filter((line) => !/(: [34]|(host|lint|list|exec|json).*: 0|plan: [234]|wrong password: 1)$/.test(line)), [], JSON.stringify(ran['apply, quietly']));
  for (const [what, { stdout, stderr }] of Object.entries(ran)) t.deepEqual(found(`${stdout}\n${stderr}`), [], `${what}\n${stdout}\n${stderr}`);
  // The run did what it was for.
  t.regex(await readFile(join(out, 'part'), 'utf8'), new RegExp(SECRETS.nested));
  t.is(await readFile(join(out, 'whole'), 'utf8'), `${SECRETS.template}\n${SECRETS.inline}\n`);
  t.true(ran['apply with diffs and all that can be told']!.stdout.includes('********'));
  t.true(ran['a failure']!.stdout.includes('The last one fails'));

  t.true(lines.length > 10);
  t.deepEqual(lines.filter((line) => found(line).length > 0), []);

  const patterns = join(cwd, 'patterns');
  await writeFile(patterns, `${TRACES.join('\n')}\n`);
  const places = ['/tmp', '/var/tmp', '/dev/shm', '/run', '/root', '/var/log', '/var/lib/muster', '/etc'];
  const hits = spawnSync('grep', ['-rlsFI', '-f', patterns, '--exclude-dir=node_modules', ...places], { encoding: 'utf8' }).stdout.split('\n').filter((line) => line !== '');
  const meant = ['pw', 'patterns', 'host/composed', 'host/part', 'host/whole', 'host/key', 'host/lines', 'site.yml'].map((name) => join(cwd, name));
  t.deepEqual(hits.filter((file) => file.startsWith(cwd) || /muster/.test(file)).filter((file) => !meant.includes(file)).sort(), []);
  t.true(hits.includes(join(out, 'part')));
  t.true(execFileSync('find', [join(cwd, '.muster'), '-name', 'events.ndjson'], { encoding: 'utf8' }).trim().split('\n').length >= 7);
});
