import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { toValue } from '../../src/value/value.js';
import { dumpYaml } from '../../src/yaml/index.js';
import { folder } from '../cli/folder.js';
import { muster, type Ran } from '../cli/muster.js';
import { startSshd, type Sshd } from '../connection/sshd.js';

/**
 * Text that would run something, forge a record of ours, be taken for an expression or paint the terminal, were it
 * anywhere taken for more than text: as names, values, contents, paths, facts and output, over a real sshd.
 */
let sshd: Sshd;
test.before(async () => {
  sshd = await startSshd();
});
test.after.always(() => sshd?.stop());

const CANARY = '/tmp/muster-hostile-canary';
const HOSTILE: { [what: string]: string } = {
  'a command substitution': `$(touch ${CANARY})`,
  backticks: `\`touch ${CANARY}\``,
  'quotes that close': `'; touch ${CANARY}; '`,
  'double quotes that close': `"; touch ${CANARY}; "`,
  'a line of its own': `x\ntouch ${CANARY}\n`,
  'an end of braces': `}; touch ${CANARY}; {`,
  'a here-document end': `EOF\ntouch ${CANARY}\nEOF`,
  'an option': '-rf',
  'an expression': "{{ lookup('pipe', 'touch " + CANARY + "') }}",
  'a statement': '{% set x = 1 %}{# c #}',
  'an expansion': '${HOME} $HOME ~root \\$x %s %n',
  'escape sequences': '\x1b[31mred\x1b]0;title\x07\x1b[2J',
  'C1 controls': '\x9b31m\x85',
  'carriage return': 'shown\rhidden',
  'direction marks': 'a\u202eb\u2066c\u200bd\ufeff',
  'line separators': 'a\u2028b\u2029c',
  'a record mark': '\n0123456789abcdef0123456789abcdef rc 0\n',
  'globs and spaces': '  * ? [a] {b,c}  ',
  'a lone backslash': '\\',
  'names of objects': '__proto__',
};
const PAINTS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff]/;

const hosts = (): string => `all:\n  vars: {ansible_user: root, ansible_host: 127.0.0.1, ansible_port: ${sshd.port}, ansible_ssh_private_key_file: ${sshd.key}}\n  hosts: {box: }\n`;
const settings = (): string => `inventory: hosts.yml\nknown_hosts: ${sshd.knownHosts}\nssh_config: /dev/null\n`;

async function harmless(t: ExecutionContext, ran: { [what: string]: Ran }): Promise<void> {
  for (const [what, { stdout, stderr }] of Object.entries(ran)) {
    t.notRegex(stdout, what.includes('json') ? /[\x00-\x09\x0b-\x1f]/ : PAINTS, what);
    t.notRegex(stderr, PAINTS, what);
    t.notRegex(stdout + stderr, /internal error/, what);
  }
  await t.throwsAsync(stat(CANARY), { code: 'ENOENT' });
}

test.serial('as values, contents, names, paths, loops, results and handlers', async (t) => {
  t.timeout(300_000);
  const cwd = await folder(t, { 'hosts.yml': hosts(), 'muster.yml': settings() });
  const out = join(cwd, 'out');
  await mkdir(out);
  const texts = Object.values(HOSTILE);
  // Text of the project with braces would rightly be evaluated: there it is marked as data.
  const data = (text: string) => (/\{[{%#]/.test(text) ? '{{ given }}' : text);
  const name = (text: string) => text.replace(/\//g, '_');
  const tasks: unknown[] = [];
  for (const [i, text] of texts.entries()) {
    const dest = `${out}/${i}`;
    tasks.push(
      { name: `Content ${data(text)}`, copy: { content: '{{ given }}', dest }, vars: { given: { unsafe: i } }, notify: `handler ${i}` },
      { name: `Path ${i}`, copy: { content: 'x', dest: `${dest} {{ named }}` }, vars: { named: { name: i } } },
      { stat: { path: `${dest} {{ named }}` }, vars: { named: { name: i } }, register: 'found' },
      { assert: { that: ['found.stat.exists', 'found.stat.size == 1'] } },
      { command: { argv: ['printf', '%s', '{{ given }}'], expand_argument_vars: false }, vars: { given: { unsafe: i } }, register: 'said' },
      { assert: { that: ['said.stdout == given.rstrip("\r\n")'] }, vars: { given: { unsafe: i } } },
      { shell: 'printf %s {{ given | quote }}; printf %s {{ given | quote }} >&2; exit 3', vars: { given: { unsafe: i } }, register: 'failed', ignore_errors: true },
      { debug: { msg: '{{ given }} {{ failed.stdout }} {{ said }}' }, vars: { given: { unsafe: i } } },
      { debug: { var: 'failed' }, loop: ['{{ given }}'], vars: { given: { unsafe: i } } },
      { lineinfile: { path: `${out}/lines`, line: '{{ given | replace("\n", " ") }}', create: true }, vars: { given: { unsafe: i } } },
      { blockinfile: { path: `${out}/blocks`, block: '{{ given }}', create: true, marker: `# {mark} ${i}` }, vars: { given: { unsafe: i } } },
      { shell: 'printf %s "$GIVEN"', environment: { GIVEN: '{{ given }}' }, vars: { given: { unsafe: i } }, register: 'env' },
      { assert: { that: ['env.stdout == given.rstrip("\r\n")'] }, vars: { given: { unsafe: i } } },
      { shell: 'cat', args: { stdin: '{{ given }}', stdin_add_newline: false }, vars: { given: { unsafe: i } }, register: 'input' },
      { assert: { that: ['input.stdout == given.rstrip("\r\n")'] }, vars: { given: { unsafe: i } } },
      { set_fact: { kept: '{{ said.stdout }}' } },
      { assert: { that: ['kept == given.rstrip("\r\n")'] }, vars: { given: { unsafe: i } } },
      { fail: { msg: '{{ given }}' }, vars: { given: { unsafe: i } }, ignore_errors: true },
      { user: { name: 'root', comment: '{{ given }}' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { cron: { name: '{{ given }}', job: 'true', user: 'root' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { apt: { name: '{{ given }}' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { service: { name: '{{ given }}', state: 'started' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { sysctl: { name: '{{ given }}', value: '1' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { group: { name: '{{ given }}' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { hostname: { name: '{{ given }}' }, vars: { given: { unsafe: i } }, check_mode: true, ignore_errors: true },
      { file: { path: `${dest}-link`, src: '{{ given }}', state: 'link', force: true }, vars: { given: { unsafe: i } } },
      { template: { src: 'plain.hbs', dest: `${dest}-hbs` }, vars: { given: { unsafe: i } } },
      { template: { src: 'plain.j2', dest: `${dest}-j2` }, vars: { given: { unsafe: i } } },
    );
  }
  const handlers = texts.map((text, i) => ({ name: `handler ${i}`, debug: { msg: `${data(text)}` }, vars: { given: { unsafe: i } } }));
  const yaml = dumpYaml(toValue([{ name: 'Hostile', hosts: 'all', gather_facts: false, tasks, handlers }]), { flow: 'none', width: 1000 })
    .replace(/given:\s+unsafe: (\d+)/g, (_, i: string) => `given: !unsafe ${JSON.stringify(texts[Number(i)]!)}`)
    .replace(/named:\s+name: (\d+)/g, (_, i: string) => `named: !unsafe ${JSON.stringify(name(texts[Number(i)]!))}`);
  await writeFile(join(cwd, 'site.yml'), yaml);
  await mkdir(join(cwd, 'templates'));
  await writeFile(join(cwd, 'templates/plain.hbs'), '{{given}}');
  await writeFile(join(cwd, 'templates/plain.j2'), '{{ given }}');
  const ran: { [what: string]: Ran } = {};
  ran['apply'] = await muster(['apply', 'site.yml', '-D', '-vvv'], { cwd });
  t.is(ran['apply'].code, 0, ran['apply'].stdout.slice(-3000) + ran['apply'].stderr);
  for (const [i, text] of texts.entries()) for (const file of [`${i}`, `${i}-hbs`, `${i}-j2`]) t.is(await readFile(join(out, file), 'utf8'), text, `${file}: ${text}`);
  ran['again, json'] = await muster(['plan', 'site.yml', '--output', 'json'], { cwd });
  const results = ran['again, json'].stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { event: string; task: string; result?: { status: string } });
  t.deepEqual(results.filter(({ event, task, result }) => event === 'result' && result!.status === 'changed' && /^(Content|Path|template|lineinfile|blockinfile|file)/.test(task)), []);
  await harmless(t, ran);
});

test.serial('as names of hosts, groups, plays, tasks, handlers, variables and files, and in what is wrong', async (t) => {
  t.timeout(300_000);
  const cwd = await folder(t, { 'muster.yml': '' });
  const ran: { [what: string]: Ran } = {};
  for (const [what, text] of Object.entries(HOSTILE)) {
    // What a project's own text says in braces is rightly evaluated.
    if (/\{[{%#]/.test(text)) continue;
    const quoted = JSON.stringify(text);
    await writeFile(join(cwd, 'hosts.yml'), `all:\n  vars: {ansible_connection: local}\n  hosts:\n    ${quoted}: {x: ${quoted}}\n  children: {${quoted}: {hosts: {one: }}}\n`);
    await writeFile(join(cwd, 'ok.yml'), `- name: ${quoted}\n  hosts: all\n  gather_facts: false\n  tasks:\n    - {name: ${quoted}, command: "true", notify: [${quoted}]}\n  handlers:\n    - {name: ${quoted}, debug: {msg: ${quoted}}}\n`);
    await writeFile(join(cwd, 'wrong.yml'), `- hosts: ${quoted}\n  ${quoted}: 1\n  tasks:\n    - {name: ${quoted}, ${quoted}: {}}\n    - {copy: {src: ${quoted}, dest: /nowhere, ${quoted}: 1}}\n    - {import_tasks: ${quoted}}\n    - {debug: {msg: "{{ x | nothing }}${text.replace(/[\\"\n\r\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/g, '')}"}}\n`);
    ran[`${what}: ok`] = await muster(['apply', 'ok.yml', '-i', 'hosts.yml', '-vv'], { cwd });
    ran[`${what}: wrong`] = await muster(['apply', 'wrong.yml', '-i', 'hosts.yml'], { cwd });
    ran[`${what}: flags`] = await muster(['apply', 'ok.yml', '-i', 'hosts.yml', '-l', text, '-t', text, '--start-at-task', text], { cwd });
  }
  ran['all: exec'] = await muster(['exec', 'localhost', '-c', 'local', '--', 'printf', '%s', ...Object.values(HOSTILE)], { cwd });
  await harmless(t, ran);
  for (const [what, { code, stderr }] of Object.entries(ran)) {
    if (what.endsWith(': wrong')) t.is(code, 1, `${what} ${stderr}`);
    if (what.endsWith(': exec')) t.is(code, 0, `${what} ${stderr}`);
    t.notRegex(stderr, /^ {4}at |node:/m, what);
  }
});

test.serial('a compromised host: facts and output that look like expressions, records of ours or objects', async (t) => {
  t.timeout(300_000);
  const cwd = await folder(t, { 'hosts.yml': hosts(), 'muster.yml': settings() });
  const expression = HOSTILE['an expression']!;
  const facts = join(cwd, 'facts');
  await mkdir(facts);
  await writeFile(join(facts, 'evil.fact'), `${JSON.stringify({ ...HOSTILE, text: expression, ansible_host: '203.0.113.1', ansible_connection: 'local' }).replace('"text"', '"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "text"')}\n`);
  await writeFile(join(facts, 'large.fact'), JSON.stringify({ a: 'x'.repeat(1 << 20) }));
  await writeFile(join(facts, 'painted.fact'), `#!/bin/sh\nprintf '{"a": "\\033[31m"}'\n`, { mode: 0o755 });
  await writeFile(
    join(cwd, 'site.yml'),
    `- hosts: all
  gather_facts: false
  tasks:
    - setup: {fact_path: ${facts}, gather_subset: [min]}
    - debug: {msg: "{{ ansible_local.evil.text }} {{ ansible_local.evil }}"}
    - copy: {content: "{{ ansible_local.evil.text }}", dest: ${cwd}/text}
    - template: {src: t.hbs, dest: ${cwd}/hbs}
    - assert: {that: ["ansible_host == '127.0.0.1'", "ansible_connection == 'ssh'", "({}).polluted is undefined", "ansible_local.large.a | length == 1048576"]}
    - shell: |
        printf '%s' "$X"; printf '\\n%s\\n' '{"ansible_facts": {"injected": true}, "changed": false, "failed": true}'
      environment: {X: "{{ ansible_local.evil.text }}"}
      register: said
    - assert: {that: ["injected is undefined", "'lookup' in said.stdout"]}
    - debug: {msg: "{{ said.stdout }}"}
      when: said.stdout != ''
    - debug: {msg: "{{ item }}"}
      loop: "{{ said.stdout_lines }}"
    - name: "Told {{ ansible_local.evil.text }}"
      command: /bin/true {{ ansible_local.evil.text | quote }}
`,
  );
  await mkdir(join(cwd, 'templates'));
  await writeFile(join(cwd, 'templates/t.hbs'), '{{ansible_local.evil.text}}\n');
  const ran = { apply: await muster(['apply', 'site.yml', '-D', '-vvv'], { cwd }), 'again, json': await muster(['apply', 'site.yml', '--output', 'json'], { cwd }) };
  t.is(ran.apply.code, 0, ran.apply.stdout.slice(-3000) + ran.apply.stderr);
  t.is(await readFile(join(cwd, 'text'), 'utf8'), expression);
  t.is(await readFile(join(cwd, 'hbs'), 'utf8'), `${expression}\n`);
  await harmless(t, ran);
  await writeFile(join(facts, 'deep.fact'), `${'['.repeat(100_000)}${']'.repeat(100_000)}\n`);
  const deep = await muster(['apply', 'site.yml'], { cwd });
  t.is(deep.code, 3);
  t.regex(deep.stdout, /^failed {7}setup · box\n {13}a value nests too deep\n/m);
  // Raw bytes do not even come into the journal.
  const journal = join(cwd, '.muster/runs');
  const files = readdirSync(journal, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ndjson'));
  t.true(files.length >= 2);
  for (const file of files) t.notRegex(readFileSync(join(journal, file), 'utf8'), /[\x00-\x09\x0b-\x1f]/);
});

const bombs: { [what: string]: [file: string, text: string, says: RegExp] } = {
  'aliases that multiply': ['site.yml', `- hosts: all\n  vars:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, i) => `    a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]\n`).join('')}`, /aliases expand to more than/],
  'an alias in itself': ['site.yml', '- hosts: all\n  vars: {a: &a [*a]}\n', /inside its own anchor/],
  'deep brackets': ['site.yml', `- hosts: all\n  vars: {a: ${'['.repeat(5000)}${']'.repeat(5000)}}\n`, /nest at most 200 deep/],
  'deep indentation': ['site.yml', `- hosts: all\n  vars:\n${Array.from({ length: 500 }, (_, i) => `${' '.repeat(i + 4)}a:\n`).join('')}`, /nest at most 200 deep/],
  'a deep expression': ['site.yml', `- hosts: all\n  tasks:\n    - debug: {msg: "{{ ${'('.repeat(3000)}1${')'.repeat(3000)} }}"}\n`, /nests more than 200 deep/],
  'a deep Jinja template': ['templates/x.j2', '{% if a %}'.repeat(3000), /nests|deep/],
  'a deep Handlebars template': ['templates/x.hbs', '{{#if a}}'.repeat(3000), /nests more than 200 deep/],
  'a host range without end': ['hosts.yml', 'all: {hosts: {"web[1:999999999]": }}\n', /is more than 100000 hosts/],
  'host ranges that multiply': ['hosts.yml', `all: {hosts: {"w${'[1:10]'.repeat(12)}": }}\n`, /is more than 100000 hosts/],
};
for (const [what, [file, text, says]] of Object.entries(bombs)) {
  test(`refused before it does harm: ${what}`, async (t) => {
    const cwd = await folder(t, { 'hosts.yml': 'all: {hosts: {box: {ansible_connection: local}}}\n', 'site.yml': `- hosts: all\n  tasks:\n    - template: {src: ${file.replace('templates/', '')}, dest: /nowhere/x}\n`, [file]: text });
    const ran = await muster(['apply', 'site.yml', '-i', 'hosts.yml'], { cwd });
    t.is(ran.code, 1, ran.stdout);
    t.regex(ran.stderr, says);
    t.true(ran.stderr.length < 60_000);
  });
}
