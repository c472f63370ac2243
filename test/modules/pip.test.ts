import test from 'ava';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pip } from '../../src/modules/pip.js';
import { converge, inShells, look, type Place } from './harness.js';

/** A pip whose packages are the lines of a file, and the newest of each is 3.0. */
const PIP = (file: string) => `#!/bin/sh
what=$1; shift
case $what in
list) cat ${file}; exit ;;
uninstall) for p do case $p in -*) ;; *) grep -q "^$p==" ${file} && echo "Successfully uninstalled $p"; grep -v "^$p==" ${file} >${file}.new; cat ${file}.new >${file} ;; esac; done; exit 0 ;;
esac
[ "$PIP_BREAK_SYSTEM_PACKAGES" = 1 ] || [ -n "$VENV" ] || { echo 'error: externally-managed-environment' >&2; exit 1; }
up= old=
while [ $# -gt 0 ]; do
  p=$1; shift
  case $p in -U) up=y; continue ;; --force-reinstall) old=y; continue ;; -r) set -- "$@" $(cat "$1"); shift; continue ;; -*) continue ;; git+*) p=\${p##*/}==3.0 ;; esac
  n=\${p%%[=<>\\[]*} v=3.0
  case $p in *==*) v=\${p#*==} ;; *) [ -n "$up$old" ] || ! grep -qi "^$n==" ${file} || { echo "Requirement already satisfied: $n"; continue; } ;; esac
  if [ -z "$old" ] && grep -qx "$n==$v" ${file}; then echo "Requirement already satisfied: $n"; continue; fi
  grep -v "^$n==" ${file} >${file}.new; echo "$n==$v" >>${file}.new; sort ${file}.new >${file}
  echo "Successfully installed $n-$v"
done
`;

async function program(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

async function setUp(place: Place): Promise<{ file: string; bin: string }> {
  const root = join(place.dir, '..');
  const [bin, file] = [join(root, 'bin'), join(root, 'installed')];
  await mkdir(bin);
  await writeFile(file, 'Django==4.2.1\npip==23.0\nzope.interface==6.0\n');
  await program(join(bin, 'pip3'), PIP(file));
  await program(join(bin, 'python3'), '#!/bin/sh\nexit 1\n');
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  return { file, bin };
}

inShells(test, 'packages are installed where the list lacks them', async (t, place) => {
  const { file } = await setUp(place);
  const fields = async (args: object) => (await converge(t, place, pip, { break_system_packages: true, ...args })).changes.map(({ field }) => field);
  t.deepEqual(await fields({ name: 'django>=4,<5, Zope_Interface == 6.*, pip' }), []);
  t.deepEqual(await fields({ name: ['django~=4.2', 'pip != 22'] }), []);
  t.deepEqual(await fields({ name: ['django', 'flask==2.0'] }), ['flask']);
  t.deepEqual(await fields({ name: 'flask', version: '2.0' }), []);
  t.deepEqual(await fields({ name: 'flask', version: '2.1' }), ['flask']);
  t.deepEqual((await look(t, place, pip, { name: 'flask', version: '>2.1' })).changes, [{ field: 'flask', from: '2.1', to: 'flask>2.1' }]);
  t.deepEqual(await fields({ name: ['flask', 'none'], state: 'absent' }), ['flask']);
  t.deepEqual(await fields({ name: [] }), []);
  t.is(await readFile(file, 'utf8'), 'Django==4.2.1\npip==23.0\nzope.interface==6.0\n');
  await t.throwsAsync(fields({ name: 'flask', break_system_packages: false }), { message: /externally-managed/ });
}, ['dash', 'bash']);

inShells(test, 'what only pip can tell is told by pip', async (t, place) => {
  const { file } = await setUp(place);
  const run = async (args: object) => (await converge(t, place, pip, { break_system_packages: true, ...args })).result;
  t.like(await run({ name: 'pip', state: 'latest' }), { cmd: ['pip3', 'install', '-U', 'pip'], name: ['pip'], state: 'latest', version: null, virtualenv: null, stdout: 'Successfully installed pip-3.0\n' });
  t.like(await run({ name: 'pip', state: 'latest' }), { changed: false });
  t.false('changed' in (await run({ name: 'pip', state: 'forcereinstall' })));
  t.false('changed' in (await run({ name: 'requests[security,socks]' })));
  t.like(await run({ name: 'requests[security,socks]' }), { changed: false, name: ['requests[security', 'socks]'] });
  const requirements = join(place.dir, 'requirements.txt');
  await writeFile(requirements, 'flask==2.0\n');
  t.false('changed' in (await run({ requirements })));
  t.like(await run({ requirements, chdir: place.dir }), { changed: false, requirements });
  t.false('changed' in (await run({ name: 'git+https://host/app' })));
  t.true((await readFile(file, 'utf8')).startsWith('Django==4.2.1\n'));
}, ['dash', 'bash']);

inShells(test, 'a virtual environment is made', async (t, place) => {
  const { file, bin } = await setUp(place);
  const venv = join(place.dir, "it's venv");
  await t.throwsAsync(converge(t, place, pip, { name: 'flask', virtualenv: venv }), { message: /has no virtualenv/ });
  const made = `#!/bin/sh\nfor e do :; done\nmkdir -p "$e/bin" && : >"$e/bin/activate" && sed '2i VENV=y' ${bin}/pip3 >"$e/bin/pip" && chmod +x "$e/bin/pip" && : >${file}\necho "$*" >${bin}/../args\n`;
  await program(join(bin, 'virtualenv'), made);
  const args = { name: 'flask', virtualenv: "it's venv", chdir: place.dir, virtualenv_python: 'python3.11' };
  const { changes, result } = await converge(t, place, pip, args);
  t.deepEqual(changes.map(({ field }) => field), ['virtualenv', 'flask']);
  t.is(result['virtualenv'], "it's venv");
  t.is(await readFile(join(bin, '../args'), 'utf8'), `-ppython3.11 ${venv}\n`);
  t.deepEqual((await look(t, place, pip, { name: 'flask', virtualenv: venv })).changes, []);
  await t.throwsAsync(look(t, place, pip, { name: 'x', executable: 'pip9' }), { message: /Unable to find any of pip9/ });
}, ['dash', 'bash']);

test('arguments that do not go together', (t) => {
  const refused = (args: object, message: RegExp) => t.throws(() => pip.params.parse(args), { message });
  refused({}, /one of name and requirements/);
  refused({ name: 'a', requirements: 'b' }, /one of name and requirements/);
  refused({ name: ['a', 'b'], version: '1' }, /ambiguous/);
  refused({ name: 'a>1', version: '1' }, /conflicts/);
  refused({ name: 'a', version: '1', state: 'latest' }, /incompatible/);
  refused({ name: 'a', virtualenv: 'v', executable: 'pip3' }, /exclude/);
  refused({ name: 'a', virtualenv_command: 'python3 -m venv', virtualenv_python: 'python3' }, /virtualenv_python should not/);
  refused({ name: 'a', umask: '9' }, /octal/);
});
