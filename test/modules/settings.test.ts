/** Settings of the host: limits, time zone, locales, alternatives, kernel modules, mounts. Where no test host can hold them, faked tools answer. */
import test from 'ava';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { alternatives, parseDisplay } from '../../src/modules/alternatives.js';
import { edit, mountedAt } from '../../src/modules/fstab.js';
import { localeGen } from '../../src/modules/locale_gen.js';
import { modprobe } from '../../src/modules/modprobe.js';
import { mount } from '../../src/modules/mount.js';
import { pamLimits } from '../../src/modules/pam_limits.js';
import { timezone } from '../../src/modules/timezone.js';
import { converge, inShells, type Place } from './harness.js';

/** Programs that stand before all others on the host's path. */
async function fake(place: Place, programs: { [name: string]: string }): Promise<void> {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin, { recursive: true });
  for (const [name, text] of Object.entries(programs)) await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
}

inShells(test, 'pam_limits: a line for each limit', async (t, place) => {
  const dest = join(place.dir, 'limits.conf');
  await writeFile(dest, '# a comment\n*  soft  core  0 # none\nweb - nofile 1024');
  const put = async (domain: string, limit_type: string, limit_item: string, value: string, more: object = {}) => {
    const { result, output } = await converge(t, place, pamLimits, { dest, domain, limit_type, limit_item, value, ...more });
    return [result['msg'], output !== undefined];
  };
  t.deepEqual(await put('*', 'soft', 'core', '0'), ['*  soft  core  0 # none\n', false]);
  t.deepEqual(await put('*', 'soft', 'core', 'unlimited'), ['*\tsoft\tcore\tunlimited\t# none\n', true]);
  t.deepEqual(await put('*', 'soft', 'core', '5', { use_max: true }), ['*\tsoft\tcore\tunlimited\t# none\n', false]);
  t.deepEqual(await put('web', '-', 'nofile', '64000', { use_max: true, comment: 'many' }), ['web\t-\tnofile\t64000\t#many\n', true]);
  t.deepEqual(await put('web', '-', 'nofile', '64000', { use_min: true }), ['web\t-\tnofile\t64000\t#many\n', false]);
  t.deepEqual(await put('@db', 'hard', 'nice', '-10'), ['@db\thard\tnice\t-10\n', true]);
  t.is(await readFile(dest, 'utf8'), '# a comment\n*\tsoft\tcore\tunlimited\t# none\nweb\t-\tnofile\t64000\t#many\n@db\thard\tnice\t-10\n');
  t.throws(() => pamLimits.params.parse({ domain: 'a', limit_type: '-', limit_item: 'nofile', value: 'many' }), { message: /is no limit/ });
  t.throws(() => pamLimits.params.parse({ domain: 'a', limit_type: '-', limit_item: 'nice', value: '30' }), { message: /from -20 to 19/ });
});

test('alternatives: what Debian and Red Hat tell', (t) => {
  const debian = parseDisplay(`editor - auto mode
  link best version is /bin/nano
  link currently points to /bin/nano
  link editor is /usr/bin/editor
  slave editor.1.gz is /usr/share/man/man1/editor.1.gz
/bin/nano - priority 40
  slave editor.1.gz: /usr/share/man/man1/nano.1.gz
/usr/bin/vim.tiny - priority 15
`);
  t.like(debian, { mode: 'auto', current: '/bin/nano', link: '/usr/bin/editor' });
  t.deepEqual([...debian.choices], [
    ['/bin/nano', { priority: 40, family: undefined, subcommands: [{ name: 'editor.1.gz', path: '/usr/share/man/man1/nano.1.gz', link: '/usr/share/man/man1/editor.1.gz' }] }],
    ['/usr/bin/vim.tiny', { priority: 15, family: undefined, subcommands: [] }],
  ]);
  const redhat = parseDisplay(`java - status is manual.
 link currently points to /usr/lib/jvm/17/bin/java
/usr/lib/jvm/17/bin/java - family java-17 priority 17000
 follower jre: /usr/lib/jvm/17
 follower javaws: (null)
Current \`best' version is /usr/lib/jvm/17/bin/java.
`);
  t.like(redhat, { mode: 'manual', current: '/usr/lib/jvm/17/bin/java', link: undefined });
  t.deepEqual(redhat.choices.get('/usr/lib/jvm/17/bin/java'), { priority: 17000, family: 'java-17', subcommands: [{ name: 'jre', path: '/usr/lib/jvm/17', link: undefined }] });
  const wanted = (args: object) => alternatives.params.parse({ name: 'java', ...args });
  t.deepEqual(alternatives.compare(wanted({ family: 'java-17' }), redhat), []);
  t.deepEqual(alternatives.compare(wanted({ family: 'java-21' }), redhat), [{ field: 'selected', from: '/usr/lib/jvm/17/bin/java', to: 'java-21' }]);
});

inShells(test, 'alternatives: chosen, weighed and removed by the real program', async (t, place) => {
  const { dir } = place;
  await mkdir(join(dir, 'alt'));
  await mkdir(join(dir, 'admin'));
  for (const name of ['one', 'two', 'one.1', 'two.1']) await writeFile(join(dir, name), '');
  await fake(place, { 'update-alternatives': `exec /usr/bin/update-alternatives --altdir '${dir}/alt' --admindir '${dir}/admin' --log /dev/null "$@"` });
  const at = { name: 'thing' };
  const [one, two, link] = [join(dir, 'one'), join(dir, 'two'), join(dir, 'thing')];
  const subcommands = [{ name: 'thing.1', link: join(dir, 'thing.1'), path: `${one}.1` }];
  await converge(t, place, alternatives, { ...at, path: one, link, priority: 10, subcommands });
  await converge(t, place, alternatives, { ...at, path: two, link, priority: 20, state: 'present' });
  const { changes } = await converge(t, place, alternatives, { ...at, path: two });
  t.deepEqual(changes, [{ field: 'selected', from: one, to: two }]);
  t.deepEqual((await converge(t, place, alternatives, { ...at, path: one, priority: 30, state: 'auto' })).changes.map(({ field }) => field), ['priority', 'mode']);
  t.deepEqual((await converge(t, place, alternatives, { ...at, path: one, subcommands: [], state: 'auto' })).changes.map(({ field }) => field), ['subcommands']);
  await converge(t, place, alternatives, { ...at, path: one, state: 'absent' });
  await converge(t, place, alternatives, { ...at, path: two, state: 'absent' });
  await t.throwsAsync(converge(t, place, alternatives, { ...at, path: one }), { message: /needs link/ });
// update-alternatives of dpkg is no part of busybox.
}, ['dash', 'bash']);

inShells(test, 'modprobe: loaded when it is not, and at boot', async (t, place) => {
  await fake(place, { modprobe: 'echo "$@" >>"$HOME/calls"' });
  await writeFile(join(place.dir, 'calls'), '');
  const wanted = modprobe.params.parse({ name: 'muster-test_module', params: 'a=1 b=2' });
  const observed = modprobe.parse(await place.run(modprobe.inspect(wanted)), wanted);
  t.deepEqual(observed, { isLoaded: false, atBoot: false, options: [] });
  const changes = modprobe.compare(wanted, observed);
  await place.run(modprobe.apply(wanted, observed, changes));
  t.is(await readFile(join(place.dir, 'calls'), 'utf8'), 'muster-test_module a=1 b=2\n');
  const loaded = modprobe.params.parse({ name: 'br_netfilter', persistent: 'present', params: 'x=1' });
  t.deepEqual(modprobe.compare(loaded, { isLoaded: true, atBoot: false, options: ['x=2'] }).map(({ field }) => field), ['persistent', 'params']);
  t.deepEqual(modprobe.compare(loaded, { isLoaded: true, atBoot: true, options: ['x=1'] }), []);
  t.deepEqual(modprobe.compare(modprobe.params.parse({ name: 'x', state: 'absent' }), { isLoaded: true, atBoot: true, options: [] }), [{ field: 'state', from: 'present', to: 'absent' }]);
  t.throws(() => modprobe.params.parse({ name: 'a b' }), { message: /not the name/ });
// busybox ash prefers its own modprobe to the one that stands in here.
}, ['dash', 'bash']);

inShells(test, 'locale_gen: what is missing is found, and what cannot be made', async (t, place) => {
  await fake(place, { locale: "printf 'C\\nC.utf8\\nPOSIX\\nen_US.utf8\\n'" });
  const ask = (name: string[], state = 'present') => {
    const wanted = localeGen.params.parse({ name, state });
    const content = Buffer.from('# en_US.UTF-8 UTF-8\n# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\n');
    const observed = { entry: { path: '/etc/locale.gen', stat: undefined, target: undefined, sha256: undefined }, umask: 0o022, content, there: new Set(['C', 'C.utf8', 'en_US.utf8']), supported: new Map([['de_DE.UTF-8', 'UTF-8'], ['de_DE', 'ISO-8859-1'], ['fr_FR.UTF-8', 'UTF-8']]) };
    return localeGen.compare(wanted, observed);
  };
  t.deepEqual(ask(['en_US.UTF-8', 'C.UTF-8']), []);
  t.is(ask(['de_DE.UTF-8', 'fr_FR.UTF-8']).at(-1)!.text!.after, '# en_US.UTF-8 UTF-8\n# de_DE ISO-8859-1\nde_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\n');
  t.is(ask(['en_US.UTF-8'], 'absent').at(-1)!.text!.after, '# en_US.UTF-8 UTF-8\n# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n');
  t.throws(() => ask(['xx_XX.UTF-8']), { message: /cannot make xx_XX/ });
});

inShells(test, 'timezone: a zone the host does not know', async (t, place) => {
  const wanted = timezone.params.parse({ name: 'Europe/Nowhere' });
  const output = await place.run(timezone.inspect(wanted));
  t.throws(() => timezone.parse(output, wanted), { message: /does not know the zone Europe\/Nowhere/ });
  const fine = timezone.params.parse({ hwclock: 'UTC' });
  t.truthy(timezone.parse(await place.run(timezone.inspect(fine)), fine).hwclock);
  t.throws(() => timezone.params.parse({}), { message: /name or hwclock/ });
  t.throws(() => timezone.params.parse({ name: '../../etc/passwd' }), { message: /not the name/ });
  t.deepEqual(timezone.compare(timezone.params.parse({ name: 'UTC', hwclock: 'local' }), { zone: 'UTC', named: 'Etc/UTC', hwclock: 'UTC' }), [
    { field: 'name', from: 'Etc/UTC', to: 'UTC' },
    { field: 'hwclock', from: 'UTC', to: 'local' },
  ]);
});

test('fstab: rows are put, changed and taken out; all else stays', (t) => {
  const text = '# /etc/fstab\nUUID=1 / ext4 defaults 0 1\nLABEL=data\t/srv/a\\040b ext4 ro 0 2 # mine\nUUID=2 none swap sw\n';
  const row = { src: 'LABEL=data', path: '/srv/a b', fstype: 'ext4', opts: 'ro', dump: '0', passno: '2' };
  const done = (change: object) => edit(Buffer.from(text), { ...row, ...change }).toString();
  t.is(done({}), text);
  t.is(done({ opts: 'rw' }), text.replace('LABEL=data\t/srv/a\\040b ext4 ro 0 2 # mine', 'LABEL=data /srv/a\\040b ext4 rw 0 2'));
  t.is(done({ path: '/new' }), `${text}LABEL=data /new ext4 ro 0 2\n`);
  t.is(done({ src: 'UUID=2', path: 'none', fstype: 'swap', opts: 'sw', passno: '0' }), text);
  t.is(done({ src: 'UUID=3', path: 'none', fstype: 'swap', opts: 'sw', passno: '0' }), `${text}UUID=3 none swap sw 0 0\n`);
  t.is(edit(Buffer.from(text), { path: '/srv/a b' }).toString(), text.replace(/LABEL.*\n/, ''));
});

test('what is mounted where', (t) => {
  const table = '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n30 22 8:1 /srv/x /mnt/a\\040b ro - ext4 /dev/sda1 rw\n31 22 0:40 / /mnt/a\\040b rw - tmpfs tmpfs rw\n';
  t.deepEqual(mountedAt(table, '/mnt/a b/'), [
    { source: '/dev/sda1', root: '/srv/x', fstype: 'ext4', options: 'ro' },
    { source: 'tmpfs', root: '/', fstype: 'tmpfs', options: 'rw' },
  ]);
  t.deepEqual(mountedAt(table, '/mnt'), []);
});

inShells(test, 'mount: rows of another fstab, which mount nothing', async (t, place) => {
  const fstab = join(place.dir, 'fstab');
  const at = { path: '/srv/nothing', fstab };
  const { result } = await converge(t, place, mount, { ...at, src: 'LABEL=x', fstype: 'ext4', opts: 'noatime', boot: false, state: 'present' });
  t.is(await readFile(fstab, 'utf8'), 'LABEL=x /srv/nothing ext4 noatime,noauto 0 0\n');
  t.deepEqual(result, { name: '/srv/nothing', src: 'LABEL=x', fstype: 'ext4', opts: 'noatime,noauto', dump: '0', passno: '0', fstab, boot: 'no', backup_file: '' });
  t.deepEqual((await converge(t, place, mount, { ...at, state: 'unmounted' })).changes, []);
  await converge(t, place, mount, { ...at, state: 'absent' });
  t.is(await readFile(fstab, 'utf8'), '');
  await t.throwsAsync(converge(t, place, mount, { ...at, state: 'remounted' }), { message: /nothing is mounted/ });
  t.throws(() => mount.params.parse({ path: '/x', state: 'mounted' }), { message: /needs src/ });
});

test('mount: what changes what', (t) => {
  const stat = { kind: 'file' as const, mode: 0o644, uid: 0, gid: 0, owner: 'root', group: 'root', nlink: 1, size: 27, atime: 0, mtime: 0, ctime: 0, inode: 1, dev: 1 };
  const observed = { entry: { path: '/etc/fstab', stat, target: undefined, sha256: undefined }, umask: 0o022, content: Buffer.from('tmpfs /x tmpfs defaults 0 0\n'), exists: true };
  const there = [{ source: 'tmpfs', root: '/', fstype: 'tmpfs', options: 'rw' }];
  const fields = (args: object, mounts = there) => mount.compare(mount.params.parse({ path: '/x', src: 'tmpfs', fstype: 'tmpfs', ...args }), { ...observed, mounts }).map(({ field, to }) => `${field} ${field === 'content' ? '' : String(to)}`.trim());
  t.deepEqual(fields({ state: 'mounted' }), []);
  t.deepEqual(fields({ state: 'mounted' }, []), ['mount tmpfs']);
  t.deepEqual(fields({ state: 'mounted', opts: 'ro' }), ['content', 'mount remounted']);
  t.deepEqual(fields({ state: 'present', opts: 'ro' }), ['content']);
  t.deepEqual(fields({ state: 'unmounted' }), ['mount null']);
  t.deepEqual(fields({ state: 'absent' }), ['content', 'mount null', 'folder null']);
  t.deepEqual(fields({ state: 'ephemeral' }), ['mount remounted']);
  t.throws(() => fields({ state: 'ephemeral', src: '/dev/sdb' }), { message: /tmpfs is mounted at \/x already/ });
});
