import test from 'ava';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { yumRepository } from '../../src/modules/yum_repository.js';
import { converge, inShells, look, modeOf } from './harness.js';

inShells(test, 'repositories of dnf, each a section of a file', async (t, place) => {
  const reposdir = join(place.dir, 'repos');
  const epel = { name: 'epel', reposdir, description: 'Extra: packages', baseurl: ['https://a.example.org/$releasever/', 'https://b.example.org/'], gpgcheck: true, exclude: 'kernel*,x', keepcache: 0 };
  await t.throwsAsync(look(t, place, yumRepository, epel), { message: /Repo directory '.*repos' does not exist/ });
  await mkdir(reposdir);
  const { result, changes } = await converge(t, place, yumRepository, { ...epel, mode: '0600' });
  t.deepEqual(result, { repo: 'epel', state: 'present' });
  t.deepEqual(changes.map(({ field }) => field), ['content']);
  const file = join(reposdir, 'epel.repo');
  const text = '[epel]\nbaseurl = https://a.example.org/$releasever/\n\thttps://b.example.org/\nexclude = kernel* x\ngpgcheck = 1\nkeepcache = 0\nname = Extra: packages\n\n';
  t.is(await readFile(file, 'utf8'), text);
  t.is(await modeOf(file), '0600');
  t.deepEqual((await converge(t, place, yumRepository, epel)).changes, []);

  const many = join(reposdir, 'many.repo');
  await writeFile(many, '# old\n[one]\nName=One\nbaseurl:x\n [odd\n; note\n[two]\nname = Two\nmetalink = y\n');
  const one = { name: 'one', file: 'many', reposdir, description: 'One', baseurl: 'x' };
  await converge(t, place, yumRepository, one);
  t.is(await readFile(many, 'utf8'), '[two]\nname = Two\nmetalink = y\n\n[one]\nbaseurl = x\nname = One\n\n');
  await converge(t, place, yumRepository, { name: 'two', file: 'many', reposdir, state: 'absent' });
  t.is(await readFile(many, 'utf8'), '[one]\nbaseurl = x\nname = One\n\n');
  await converge(t, place, yumRepository, { name: 'one', file: 'many', reposdir, state: 'absent' });
  t.deepEqual(await readdir(reposdir), ['epel.repo']);
  t.deepEqual((await converge(t, place, yumRepository, { name: 'one', file: 'many', reposdir, state: 'absent' })).changes, []);
});

test('what a repository must have', (t) => {
  const issues = (args: object) => yumRepository.params.safeParse({ name: 'x', ...args }).error?.issues.map(({ message }) => message) ?? [];
  t.deepEqual(issues({ description: 'd' }), ['state is present but any of the following are missing: baseurl, mirrorlist, metalink']);
  t.deepEqual(issues({ metalink: 'x' }), ['state is present but all of the following are missing: description']);
  t.deepEqual(issues({ state: 'absent' }), []);
  t.is(issues({ description: 'd', baseurl: 'x', ip_resolve: '5' }).length, 1);
  t.deepEqual(issues({ description: 'd', baseurl: 'x', ip_resolve: 4 }), []);
});
