/** Recorded cases: stand-ins for getcap, setcap (of libcap 2.66) and dpkg-divert (1.21), and a real make. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { capabilities } from '../../src/modules/capabilities.js';
import { dpkgDivert } from '../../src/modules/dpkg_divert.js';
import make from '../../src/modules/make.js';
import { command, converge, inShells, look, type Place } from './harness.js';

async function stand(place: Place, programs: { [name: string]: string }): Promise<string> {
  const [bin, state] = [join(place.dir, '..', 'bin'), join(place.dir, '..', 'state')];
  await mkdir(bin);
  await mkdir(state);
  for (const [name, text] of Object.entries(programs)) await writeFile(join(bin, name), `#!/bin/sh\nS=${state}\n${text}\n`, { mode: 0o755 });
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  return state;
}

inShells(test, 'capabilities come and go', async (t, place) => {
  const state = await stand(place, {
    getcap: '[ -e "$2" ] || { echo "$2 (No such file or directory)"; exit 0; }\nif [ -s "$S/caps" ]; then echo "$2 $(cat "$S/caps")"; else echo "$2"; fi',
    setcap: 'if [ "$1" = -r ]; then : >"$S/caps"; else echo "$1" >"$S/caps"; fi; echo "$*" >>"$S/calls"',
  });
  const path = join(place.dir, "it's a server");
  await writeFile(path, '');
  const first = await converge(t, place, capabilities, { path, capability: 'CAP_NET_RAW+ep' });
  t.deepEqual(first.changes, [{ field: 'capabilities', from: null, to: 'cap_net_raw=ep' }]);
  t.deepEqual(first.result, { state: 'present', msg: 'capabilities changed', stdout: '' });
  t.deepEqual((await look(t, place, capabilities, { path, capability: 'cap_net_raw=pe' })).changes, []);
  await writeFile(join(state, 'caps'), 'cap_chown,cap_net_raw=ep cap_kill+i\n');
  const second = await converge(t, place, capabilities, { path, capability: 'cap_chown+p' });
  t.deepEqual(second.changes[0]!.to, 'cap_chown=p cap_net_raw=ep cap_kill=i');
  t.deepEqual(capabilities.undo!(second.wanted, second.observed, second.changes), [{ module: 'capabilities', args: { path, capability: 'cap_chown=ep' } }]);
  await converge(t, place, capabilities, { path, capability: 'cap_chown,cap_kill', state: 'absent' });
  await converge(t, place, capabilities, { path, capability: 'cap_net_raw', state: 'absent' });
  t.deepEqual((await readFile(join(state, 'calls'), 'utf8')).split('\n').at(-2), `-r ${path}`);
  await t.throwsAsync(look(t, place, capabilities, { path: `${path}2`, capability: 'cap_kill+p' }), { message: /Unable to get capabilities .*No such file/ });
  t.regex(capabilities.params.safeParse({ path, capability: 'cap_kill' }).error!.issues[0]!.message, /Couldn't find operator/);
}, ['dash', 'bash']);

const DIVERT = `r= d= h=LOCAL how=
while [ $# -gt 0 ]; do case $1 in
--rename) r=y ;; --no-rename) ;; --local) ;; --package) h=$2; shift ;; --divert) d=$2; shift ;;
--listpackage) [ ! -e "$S/diversion" ] || sed -n 1p "$S/diversion"; exit ;;
--truename) if [ -e "$S/diversion" ]; then sed -n 2p "$S/diversion"; else echo "$2"; fi; exit ;;
--add) how=add p=$2; shift ;; --remove) how=remove p=$2; shift ;;
esac; shift; done
[ "$d" ] || d=$p.distrib
name() { if [ "$h" = LOCAL ]; then echo "local diversion of $p to $d"; else echo "diversion of $p to $d by $h"; fi; }
if [ $how = add ]; then [ ! -e "$S/diversion" ] || exit 2; printf '%s\\n' "$h" "$d" >"$S/diversion"; echo "Adding '$(name)'"; [ -z "$r" ] || [ ! -e "$p" ] || mv -n "$p" "$d"
else h=$(sed -n 1p "$S/diversion") d=$(sed -n 2p "$S/diversion"); echo "Removing '$(name)'"; rm "$S/diversion"; [ -z "$r" ] || [ ! -e "$d" ] || mv -n "$d" "$p"; fi`;

inShells(test, 'diversions come, change and go', async (t, place) => {
  await stand(place, { 'dpkg-divert': DIVERT });
  const path = join(place.dir, 'conf');
  await writeFile(path, 'of the package');
  const made = await converge(t, place, dpkgDivert, { path, rename: true });
  t.deepEqual(made.result, {
    diversion: { path, state: 'present', divert: `${path}.distrib`, holder: 'LOCAL' },
    commands: [`/usr/bin/dpkg-divert --rename --local --add ${path}`],
    messages: [`Adding 'local diversion of ${path} to ${path}.distrib'`],
  });
  t.deepEqual(dpkgDivert.result(made.wanted, made.observed)['messages'], made.result['messages'], 'a plan tells the same');
  t.deepEqual(dpkgDivert.undo!(made.wanted, made.observed, made.changes), [{ module: 'dpkg_divert', args: { path, state: 'absent', rename: true } }]);
  t.is(await readFile(`${path}.distrib`, 'utf8'), 'of the package');
  t.deepEqual((await converge(t, place, dpkgDivert, { path, rename: true })).result['messages'], [`Leaving 'local diversion of ${path} to ${path}.distrib'`]);

  const moved = await converge(t, place, dpkgDivert, { path, holder: 'mine', divert: '~/conf.away', rename: true });
  t.deepEqual(moved.result['commands'], [`/usr/bin/dpkg-divert --no-rename --remove ${path}`, `/usr/bin/dpkg-divert --no-rename --package mine --divert ${path}.away --add ${path}`]);
  t.is(await readFile(`${path}.away`, 'utf8'), 'of the package');

  await writeFile(path, 'my own');
  const back = { path, state: 'absent', rename: true };
  await t.throwsAsync(look(t, place, dpkgDivert, back), { message: "Set 'force' param to True to force renaming of files." });
  const gone = await converge(t, place, dpkgDivert, { ...back, force: true });
  t.deepEqual(gone.result['diversion'], { path, state: 'absent', divert: null, holder: null });
  t.is(await readFile(path, 'utf8'), 'of the package');
  t.deepEqual((await converge(t, place, dpkgDivert, back)).result['messages'], [`No diversion 'any diversion of ${path}', none removed.`]);
}, ['dash', 'bash']);

inShells(test, 'what is up to date is not made', async (t, place) => {
  try {
    execFileSync('make', ['--version'], { stdio: 'ignore' });
  } catch {
    await stand(place, { make: 'q=\nfor a in "$@"; do case $a in -q) q=y ;; WORD=*) w=${a#*=} ;; esac; done\n[ ! out -nt in ] || exit 0\n[ -z "$q" ] || exit 1\ncase $* in *none*) echo "no rule" >&2; exit 2 ;; esac\ncat in >out; echo "$w" >>out; echo made' });
  }
  if (place.shell === 'busybox') place.env['PATH'] = `${place.env['PATH']}:${process.env['PATH']}`;
  await writeFile(join(place.dir, 'Makefile'), 'out: in\n\t@cat in >out; echo $(WORD) >>out; echo made\n');
  await writeFile(join(place.dir, 'in'), 'in\n');
  await utimes(join(place.dir, 'in'), 1, 1);
  const args = { chdir: '~', target: 'out', params: { WORD: 'two' }, jobs: 2 };
  const plan = async (): Promise<unknown> => make.result(args as never, await place.run(make.plan!(make.params.parse(args) as never)))['changed'];
  t.is(await plan(), true);
  const first = (await command(t, place, make, args)).result!;
  t.like(first, { changed: true, stdout: 'made', target: 'out', targets: null, chdir: '~' });
  t.regex(String(first['command']), /make -j 2 out WORD=two$/);
  t.is(await readFile(join(place.dir, 'out'), 'utf8'), 'in\ntwo\n');
  t.is(await plan(), false);
  t.like((await command(t, place, make, args)).result!, { changed: false });
  const failed = await command(t, place, make, { chdir: '~', targets: ['none'] });
  t.is(failed.output!.rc, 2);
  t.regex(make.params.safeParse({ chdir: '/', target: 'a', targets: ['b'] }).error!.issues[0]!.message, /mutually exclusive/);
});
