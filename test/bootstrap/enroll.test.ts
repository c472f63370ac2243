import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { enroll, inOneLine, type Entry } from '../../src/bootstrap/enroll.js';
import { loadInventory } from '../../src/inventory/index.js';

/** A host as a fresh one is written. */
const web9: Entry = { host: 'web9', groups: ['web'], vars: [['ansible_host', '192.0.2.9'], ['ansible_user', 'muster']] };
const loose: Entry = { ...web9, groups: [] };

/** Writes the host into a file of that text. @returns what the file holds then; a second time must find nothing to do */
async function written(t: ExecutionContext, name: string, text: string, entry: Entry = web9): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-enroll-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, name);
  if (text !== '') await writeFile(file, text);
  const first = await enroll([file], entry);
  t.true(first !== undefined && 'changed' in first && first.changed, JSON.stringify(first));
  const after = await readFile(file, 'utf8');
  t.deepEqual(await enroll([file], { ...entry, vars: [] }), { file, changed: false });
  const inventory = await loadInventory([file]);
  const host = inventory.hosts.get(entry.host)!;
  for (const group of entry.groups) t.true(host.groups.includes(group));
  for (const [key, value] of entry.vars) t.is(host.vars.get(key) as unknown, value);
  return after;
}

/** Name of the case, file, text before, text after. */
const cases: [string, string, string, string, Entry?][] = [
  ['a file that is not there', 'hosts.yml', '', 'all:\n  children:\n    web:\n      hosts:\n        web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n'],
  ['nothing but a comment', 'hosts.yml', '# mine\n', '# mine\nall:\n  hosts:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n', loose],
  [
    'behind the last of its group, comments where they were', 'hosts.yml',
    `# The fleet
all:
  vars: {ansible_user: deploy}  # who
  children:
    web:
      hosts:
        # first rack
        web1: {ansible_host: 192.0.2.1}
        web2: {ansible_host: 192.0.2.2}   # slow

    # the databases
    db:
      hosts: {db1: }
`,
    `# The fleet
all:
  vars: {ansible_user: deploy}  # who
  children:
    web:
      hosts:
        # first rack
        web1: {ansible_host: 192.0.2.1}
        web2: {ansible_host: 192.0.2.2}   # slow
        web9: {ansible_host: 192.0.2.9, ansible_user: muster}

    # the databases
    db:
      hosts: {db1: }
`,
  ],
  [
    'as its neighbours are written', 'hosts.yaml',
    'web:\n    hosts:\n        web1:\n            ansible_host: 192.0.2.1\n            note: |\n                two\n                lines\n    vars:\n        a: 1\n',
    'web:\n    hosts:\n        web1:\n            ansible_host: 192.0.2.1\n            note: |\n                two\n                lines\n        web9:\n          ansible_host: 192.0.2.9\n          ansible_user: muster\n    vars:\n        a: 1\n',
  ],
  ['a group without hosts', 'h.yml', 'all:\n  children:\n    web:   # to come\n    db:\n', 'all:\n  children:\n    web:   # to come\n      hosts:\n        web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n    db:\n'],
  ['a group with variables alone', 'h.yml', 'web:\n  vars:\n    port: 80\n', 'web:\n  vars:\n    port: 80\n  hosts:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n'],
  ['hosts that are empty, within braces or not', 'h.yml', 'web:\n  hosts: {}\n', 'web:\n  hosts: {web9: {ansible_host: 192.0.2.9, ansible_user: muster}}\n'],
  ['a new group below all', 'h.yml', 'all:\n  hosts:\n    a:\n', 'all:\n  hosts:\n    a:\n  children:\n    web:\n      hosts:\n        web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n'],
  ['a new group beside others, and no line break at the end', 'h.yml', 'db:\n  hosts:\n    db1:', 'db:\n  hosts:\n    db1:\nweb:\n  hosts:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n'],
  ['braces in one line', 'h.yml', 'all: {children: {web: {hosts: {web1: {x: "}"}, }}}} # end\n', 'all: {children: {web: {hosts: {web1: {x: "}"}, web9: {ansible_host: 192.0.2.9, ansible_user: muster} }}}} # end\n'],
  [
    'JSON stays JSON', 'h.json',
    '{\n  "all": {\n    "children": {\n      "web": {\n        "hosts": {\n          "web1": {"x": "a, b"}\n        }\n      }\n    }\n  }\n}\n',
    '{\n  "all": {\n    "children": {\n      "web": {\n        "hosts": {\n          "web1": {"x": "a, b"},\n          "web9": {"ansible_host": "192.0.2.9", "ansible_user": "muster"}\n        }\n      }\n    }\n  }\n}\n',
  ],
  ['a member of another group joins', 'h.yml', 'all:\n  hosts:\n    web9: {ansible_host: 192.0.2.9}\n', 'all:\n  hosts:\n    web9: {ansible_host: 192.0.2.9}\n  children:\n    web:\n      hosts:\n        web9:\n', { ...web9, vars: [] }],
  ['another value in its place', 'h.yml', 'web:\n  hosts:\n    web9: {ansible_host: "192.0.2.1", ansible_user: root} # old\n', 'web:\n  hosts:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster} # old\n'],
  ['another value and a new one, one below the other', 'h.yml', 'web:\n  hosts:\n    web9:\n      ansible_user: root   # for now\n    web8:\n', 'web:\n  hosts:\n    web9:\n      ansible_user: muster   # for now\n      ansible_host: 192.0.2.9\n    web8:\n'],
  ['variables for a host without', 'h.yml', 'web:\n  hosts:\n    web9:   # new\n    web8:\n', 'web:\n  hosts:\n    web9:   # new\n      ansible_host: 192.0.2.9\n      ansible_user: muster\n    web8:\n'],
  ['one out of a range', 'h.yml', 'web:\n  hosts:\n    web[1:9]:\n', 'web:\n  hosts:\n    web[1:9]:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster}\n'],
  ['quotes where they are needed', 'h.yml', 'web:\n  hosts:\n    a:\n', 'web:\n  hosts:\n    a:\n    "10": {ansible_host: "fe80::1", ansible_user: "yes"}\n', { host: '10', groups: ['web'], vars: [['ansible_host', 'fe80::1'], ['ansible_user', 'yes']] }],
  ['INI: behind the last of its section', 'hosts', '# all\n[web]\nweb1 ansible_host=192.0.2.1  # one\n; two\n\n[db:children]\nweb\n', '# all\n[web]\nweb1 ansible_host=192.0.2.1  # one\nweb9 ansible_host=192.0.2.9 ansible_user=muster\n; two\n\n[db:children]\nweb\n'],
  ['INI: a section without hosts, and a new one', 'h.ini', '[web]\n\n[web:vars]\na=1\n', '[web]\nweb9 ansible_host=192.0.2.9 ansible_user=muster\n\n[web:vars]\na=1\n\n[db]\nweb9\n', { ...web9, groups: ['web', 'db'] }],
  ['INI: of no group', 'h.ini', '# mine\n\n# the web\n[web]\na\n', '# mine\n\nweb9 ansible_host=192.0.2.9 ansible_user=muster\n\n# the web\n[web]\na\n', loose],
  ['INI: another value, and one more', 'h.ini', '[web]\nweb9 ansible_user="root" x=1 # first\n', '[web]\nweb9 ansible_user=muster x=1 ansible_host=192.0.2.9 # first\n'],
  ['INI: a file that is not there', 'h.ini', '', '[web]\nweb9 ansible_host=192.0.2.9 ansible_user=muster\n'],
];
for (const [name, file, before, after, entry] of cases) test(`a host is written in: ${name}`, async (t) => t.is(await written(t, file, before, entry), after));

/** A folder of files. */
async function folder(t: ExecutionContext, files: { [path: string]: string }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'muster-enroll-'));
  t.teardown(() => rm(dir, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

test('of a folder, the file that has the group takes it; scripts and variables do not', async (t) => {
  const dir = await folder(t, { '10-all': '[db]\ndb1\n', '20-web.yml': 'web:\n  hosts:\n    web1:\n', '30-cloud': '#!/bin/sh\necho {}\n', 'group_vars/web.yml': 'a: 1\n' });
  await chmod(join(dir, '30-cloud'), 0o755);
  t.deepEqual(await enroll([dir], web9), { file: join(dir, '20-web.yml'), changed: true });
  t.is(await readFile(join(dir, '10-all'), 'utf8'), '[db]\ndb1\n');
  t.deepEqual(await enroll([dir], { ...web9, groups: ['fresh'], vars: [] }), { file: join(dir, '20-web.yml'), changed: true });
  t.is(await readFile(join(dir, '20-web.yml'), 'utf8'), 'web:\n  hosts:\n    web1:\n    web9: {ansible_host: 192.0.2.9, ansible_user: muster}\nfresh:\n  hosts:\n    web9:\n');
  const empty = await folder(t, { 'group_vars/all.yml': '' });
  t.deepEqual(await enroll([empty], web9), { file: join(empty, 'hosts.yml'), changed: true });
});

test('a link is followed, the mode kept; where nobody writes text, nothing is written', async (t) => {
  const dir = await folder(t, { 'real.yml': 'web:\n', script: '#!/bin/sh\necho {}\n' });
  await chmod(join(dir, 'real.yml'), 0o640);
  await symlink('real.yml', join(dir, 'hosts.yml'));
  await enroll([join(dir, 'hosts.yml')], web9);
  t.is((await stat(join(dir, 'real.yml'))).mode & 0o777, 0o640);
  t.regex(await readFile(join(dir, 'real.yml'), 'utf8'), /web9/);
  await chmod(join(dir, 'script'), 0o755);
  t.is(await enroll([join(dir, 'script'), 'a,b'], web9), undefined);
});

test('an entry in one line is an inventory by itself', async (t) => {
  const line = inOneLine(web9);
  t.deepEqual(JSON.parse(line), { all: { children: { web: { hosts: { web9: { ansible_host: '192.0.2.9', ansible_user: 'muster' } } } } } });
  t.false(line.includes('\n'));
});

test('what cannot be edited safely, or is encrypted, is left alone', async (t) => {
  // The group is an alias: what is written below one would be below both.
  const text = 'web: &both\n  hosts: &hosts\n    web1:\ndb:\n  hosts: *hosts\n';
  const dir = await folder(t, { 'h.yml': text });
  const result = await enroll([join(dir, 'h.yml')], web9);
  t.true(result !== undefined && 'problem' in result && /cannot be edited safely/.test(result.problem), JSON.stringify(result));
  t.is(await readFile(join(dir, 'h.yml'), 'utf8'), text);
  await writeFile(join(dir, 'vaulted.yml'), '$ANSIBLE_VAULT;1.1;AES256\n00\n');
  t.is(await enroll([join(dir, 'vaulted.yml')], web9), undefined);
});
