import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { install, readRequirements } from '../../src/install/index.js';
import { folderWith } from '../plugins/support.js';

/** A project with a repository of a role (tags 1 and 2) and of two collections, an archive and a folder. */
async function project(t: ExecutionContext): Promise<string> {
  const folder = await folderWith(t, {
    'repo/tasks/main.yml': 'one\n', 'repo/meta/main.yml': 'dependencies: [{role: base}]\n',
    'colls/a/galaxy.yml': 'namespace: my\nname: a\nversion: 1.2.0\ndependencies: {other.thing: "*"}\n', 'colls/a/plugins/modules/m.sh': '', 'colls/b/galaxy.yml': 'namespace: my\nname: b\n',
    'packed/role-1.0/tasks/main.yml': 'packed\n', 'local/tasks/main.yml': 'local\n',
    'archive/MANIFEST.json': '{"collection_info": {"namespace": "your", "name": "c", "version": "3.0.0", "dependencies": {}}}', 'archive/README.md': '',
  });
  const git = (repo: string, ...args: string[]) => execFileSync('git', ['-C', join(folder, repo), '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { stdio: 'pipe', encoding: 'utf8' });
  for (const repo of ['repo', 'colls']) {
    git(repo, 'init', '-q');
    git(repo, 'add', '.');
    git(repo, 'commit', '-qm', 'one');
  }
  git('repo', 'tag', 'v1');
  execFileSync('sh', ['-c', `cd ${folder}; echo two >repo/tasks/main.yml; tar czf role.tar.gz -C packed role-1.0; tar cf coll.tar -C archive .`]);
  git('repo', 'commit', '-qam', 'two');
  return folder;
}

const where = (folder: string) => ({ roles: join(folder, 'roles'), collections: join(folder, 'collections') });

async function bring(folder: string, text: string, again = false) {
  const file = join(folder, 'requirements.yml');
  execFileSync('tee', [file], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  return install(readRequirements(file, 'requirements.yml'), where(folder), again);
}

test('from git, archives and folders; pinned ones are kept', async (t) => {
  const folder = await project(t);
  const text = `roles:
  - {src: git+file://${folder}/repo, version: v1, name: pinned}
  - {src: ./repo, scm: git, name: newest}
  - role.tar.gz,,packed
  - {src: ./local}
collections:
  - {name: ./colls, type: git, version: HEAD}
`.replace('./colls,', '"./colls#/a",') + '  - "git+file://' + folder + '/colls#/b"\n  - ./coll.tar\n';
  const all = await bring(folder, text);
  t.deepEqual(all.map(({ name, version, needs, kept }) => [name, version, needs, kept]), [
    ['pinned', 'v1', ['base'], false], ['newest', undefined, ['base'], false], ['packed', undefined, [], false], ['local', undefined, [], false],
    ['my.a', 'HEAD', ['other.thing'], false], ['my.b', undefined, [], false], ['your.c', '3.0.0', [], false],
  ]);
  t.regex(all[0]!.commit!, /^[0-9a-f]{40}$/);
  t.not(all[0]!.commit, all[1]!.commit);
  const tasks = (name: string) => readFileSync(join(folder, 'roles', name, 'tasks/main.yml'), 'utf8').trim();
  t.deepEqual(['pinned', 'newest', 'packed', 'local'].map(tasks), ['one', 'two', 'packed', 'local']);
  t.true(existsSync(join(folder, 'collections/ansible_collections/my/a/plugins/modules/m.sh')));
  t.deepEqual(readdirSync(join(folder, 'roles')).sort(), ['local', 'newest', 'packed', 'pinned'], 'nothing of the way is left');
  t.false(existsSync(join(folder, 'roles/pinned/.git')));

  execFileSync('sh', ['-c', `cd ${folder}; echo mine >roles/pinned/tasks/main.yml; echo mine >roles/newest/tasks/main.yml`]);
  t.deepEqual((await bring(folder, text)).map(({ kept }) => kept), [true, false, false, false, false, false, false]);
  t.deepEqual(['pinned', 'newest'].map(tasks), ['mine', 'two']);
  await bring(folder, text, true);
  t.is(tasks('pinned'), 'one');
});

test('what fails on the way leaves everything as it was', async (t) => {
  const folder = await project(t);
  await bring(folder, 'roles: [{src: ./local, name: r}]\n');
  const before = readFileSync(join(folder, 'roles/r/tasks/main.yml'), 'utf8');
  execFileSync('sh', ['-c', `cd ${folder}; echo changed >local/tasks/main.yml`]);
  for (const [bad, message] of [
    ['{src: ./repo, scm: git, version: v9, name: x}', /no tag, branch or commit "v9"/],
    ['{src: ./nothing.tar, name: x}', /cannot be unpacked/],
    ['{src: ./archive, name: x}', /is no role/],
    ['{src: ./local, name: r}', /required twice/],
  ] as const) {
    await t.throwsAsync(bring(folder, `roles: [{src: ./local, name: r}, ${bad}]\n`), { message }, bad);
    t.is(readFileSync(join(folder, 'roles/r/tasks/main.yml'), 'utf8'), before);
    t.deepEqual(readdirSync(join(folder, 'roles')), ['r']);
  }
  // Found out when one is in its new place already.
  execFileSync('sh', ['-c', `cd ${folder}; mkdir -p collections/ansible_collections; echo mine >collections/ansible_collections/your`]);
  await t.throwsAsync(bring(folder, 'roles: [{src: ./local, name: r}]\ncollections: [./coll.tar]\n'), { message: /no place for your\.c/ });
  t.is(readFileSync(join(folder, 'roles/r/tasks/main.yml'), 'utf8'), before);
  t.deepEqual([...readdirSync(join(folder, 'roles')), ...readdirSync(join(folder, 'collections/ansible_collections'))], ['r', 'your']);
});

test('nothing leads out of its folder', async (t) => {
  const folder = await folderWith(t, { 'evil/tasks/main.yml': '', 'outside': 'x', 'links/tasks/main.yml': '' });
  symlinkSync('../../outside', join(folder, 'links/tasks/out.yml'));
  execFileSync('sh', ['-c', `cd ${folder}; tar cPf up.tar --transform 's,^outside,../../stolen,' outside evil; tar cPf root.tar --transform 's,^outside,/tmp/muster-stolen,' outside evil`]);
  await t.throwsAsync(bring(folder, 'roles: [{src: ./up.tar, name: r}]\n'), { message: /"\.\.\/\.\.\/stolen" in it leads out of its folder/ });
  await t.throwsAsync(bring(folder, 'roles: [{src: ./root.tar, name: r}]\n'), { message: /leads out of its folder/ });
  await t.throwsAsync(bring(folder, 'roles: [{src: ./links, name: r}]\n'), { message: /the link tasks\/out\.yml in it leads out/ });
  execFileSync('sh', ['-c', `cd ${folder}; mkdir linked; cd linked; ln -s ../evil away; git init -q; git add .; git -c user.name=t -c user.email=t@example.org commit -qm x`]);
  await t.throwsAsync(bring(folder, 'roles: [{src: "./linked#/away/tasks", scm: git, name: r}]\n'), { message: /there is no folder away\/tasks in it/ });
  t.false(existsSync(join(folder, 'stolen')) || existsSync('/tmp/muster-stolen'));
});

for (const [text, message] of [
  ['roles: [geerlingguy.nginx]', /^"geerlingguy\.nginx" is a name on Ansible Galaxy/],
  ['collections: [community.general]', /^"community\.general" is a name on Ansible Galaxy/],
  ['collections: [{name: "https://example.org/a/b.git", type: git, version: ">=1.0"}]', /names no tag/],
  ['roles: [{src: "ext::sh -c id", scm: git}]', /no address of a repository/],
  ['roles: [{src: "--upload-pack=id", scm: git}]', /no address of a repository/],
  ['roles: [{src: ./x, name: ../y}]', /cannot name a role/],
  ['roles: [{src: ./x, scm: hg}]', /hg repositories are not read/],
  ['rolls: []', /requirements have no "rolls"/],
  ['roles: [{src: ./x, nam: y}]', /a role has no "nam"/],
  ['collections: [{name: "./x.git#/../../etc"}]', /leads out of the repository/],
] as const) {
  test(`said before anything is brought: ${text}`, async (t) => {
    const folder = await folderWith(t, { 'requirements.yml': `${text}\n` });
    t.throws(() => readRequirements(join(folder, 'requirements.yml'), 'requirements.yml'), { message });
  });
}
