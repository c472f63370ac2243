import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { aptRepository, fetchKey } from '../../src/modules/apt_repository.js';
import { deb822Repository } from '../../src/modules/deb822_repository.js';
import type { Declarative } from '../../src/modules/module.js';
import { raw, sh } from '../../src/shell/sh.js';
import { controller, inShells } from './harness.js';

/** The answer of a host with these files. */
function sources(files: { [path: string]: string }, os = 'debian\0bookworm') {
  const all = Object.entries(files);
  const stats = all.map(([, text]) => `81a4 0 0 1 ${Buffer.byteLength(text)} 1 1 1 1 1\nroot\nroot\n`).join('');
  return { rc: 0, stdout: `${os}\0${all.map(([path]) => `${path}\0`).join('')}${stats}\0${Buffer.from(all.map(([, text]) => text).join('')).toString('base64')}\0`, stderr: '' };
}

const LIST = '/etc/apt/sources.list';
const APP = 'deb [arch=amd64] https://me:pw@apt.example.org/debian stable main';
const FILE = '/etc/apt/sources.list.d/apt_example_org_debian.list';

test('lines come into the sources of apt, are switched on, and go', (t) => {
  const edited = (args: object, files: { [path: string]: string }, os?: string) => {
    const wanted = aptRepository.params.parse(args);
    const observed = aptRepository.parse(sources(files, os), wanted);
    const { sources_added, sources_removed } = aptRepository.result(wanted, observed);
    return [Object.fromEntries(aptRepository.compare(wanted, observed).map(({ text, to }) => [text?.path ?? to, text?.after])), sources_added, sources_removed];
  };
  const base = { [LIST]: '# main\ndeb http://deb.example.org bookworm main\n' };
  t.deepEqual(edited({ repo: `${APP}  # ours` }, base), [{ [FILE]: `${APP}\n` }, [FILE], []]);
  t.deepEqual(edited({ repo: APP, filename: 'app' }, { '/etc/apt/sources.list.d/app.list': 'deb x y z' }), [{ '/etc/apt/sources.list.d/app.list': `deb x y z\n${APP}\n` }, [], []]);
  t.deepEqual(edited({ repo: 'deb  http://deb.example.org   bookworm main' }, base), [{}, [], []]);
  t.deepEqual(edited({ repo: APP }, { [LIST]: `# ${APP} # off\n#nothing\n` }), [{ [LIST]: `${APP} # off\n#nothing\n` }, [], []]);
  t.deepEqual(edited({ repo: APP, state: 'absent' }, { ...base, [FILE]: `${APP}\n` }), [{ [FILE]: null }, [], [FILE]]);
  t.deepEqual(edited({ repo: APP, state: 'absent' }, base), [{}, [], []]);
  t.throws(() => edited({ repo: 'http://x y z' }, base), { message: /Invalid repository string/ });
  t.throws(() => edited({ repo: 'ppa:a/b' }, base), { message: /is for Ubuntu, and this host has debian/ });
  t.throws(() => edited({ repo: 'ppa:a/b c' }, base), { message: /Invalid repository string/ });
  const ppa = 'deb https://ppa.launchpadcontent.net/a/b/ubuntu noble main\n';
  const list = '/etc/apt/sources.list.d/ppa_a_b_noble.list';
  t.deepEqual(edited({ repo: 'ppa:a/b' }, base, 'ubuntu\0noble'), [{ '/etc/apt/trusted.gpg.d/a-b.asc': undefined, [list]: ppa }, [list], []]);
  t.deepEqual(edited({ repo: 'ppa:a/b' }, { [LIST]: ppa }, 'ubuntu\0noble'), [{}, [], []]);
  t.deepEqual(edited({ repo: 'ppa:a/b', state: 'absent' }, { [list]: ppa }, 'ubuntu\0noble'), [{ [list]: null }, [], [list]]);
  t.throws(() => aptRepository.parse({ ...sources(base), stdout: `debian\0bookworm\0${LIST}\0stat\0AAAA\0` }, aptRepository.params.parse({ repo: APP })), { message: /cannot read/ });
});

inShells(test, 'the key of a PPA', async (t, place) => {
  const bin = join(place.dir, '..', 'bin');
  await mkdir(bin);
  const id = '0123456789ABCDEF0123456789ABCDEF01234567';
  await writeFile(join(bin, 'curl'), `#!/bin/sh
for f do :; done
case $(cat) in
  *'url = "https://api.launchpad.net/1.0/~a/+archive/b"'*) printf '{"name": "b", "signing_key_fingerprint": "${id}", "x": 1}' >"$f" ;;
  *'search=0x${id}"'*) printf '%s' '-----BEGIN PGP PUBLIC KEY BLOCK-----' >"$f" ;;
  *) exit 22 ;;
esac
`);
  await chmod(join(bin, 'curl'), 0o755);
  place.env['PATH'] = `${bin}:${place.env['PATH'] ?? process.env['PATH']}`;
  const key = (name: string) => place.run(sh`${fetchKey(`https://api.launchpad.net/1.0/~a/+archive/${name}`)}\n${raw('cat "$k"')}`);
  t.like(await key('b'), { rc: 0, stdout: '-----BEGIN PGP PUBLIC KEY BLOCK-----', stderr: '' });
  t.like(await key('c'), { rc: 22, stderr: 'failed to fetch PPA information from https://api.launchpad.net/1.0/~a/+archive/c\n' });
});

const KEY = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n';
const ABSENT = (name: string) => `absent\0${name}\0\0`;

test('a repository as a file of its own', async (t) => {
  const module: Declarative<any, any, any> = deb822Repository;
  const nothing = { rc: 0, stdout: `0022\n\0${['/etc/apt/sources.list.d/my-app.sources', '/etc/apt/keyrings/my-app.asc', '/etc/apt/keyrings/my-app.gpg'].map(ABSENT).join('')}\0\0`, stderr: '' };
  const made = async (args: object) => {
    const wanted = await module.prepare!(module.params.parse({ name: 'My App!', uris: 'https://apt.example.org', suites: ['stable', 'next'], components: 'main', ...args }), controller());
    const observed = module.parse(nothing, wanted);
    return { changes: module.compare(wanted, observed), result: module.result(wanted, observed), script: module.apply(wanted, observed, module.compare(wanted, observed)).script.text };
  };
  const one = await made({ signed_by: KEY, enabled: true, architectures: ['amd64'], date_max_future: 5 });
  t.is(
    one.result['repo'],
    `Architectures: amd64
Components: main
Date-Max-Future: 5
Enabled: yes
X-Repolib-Name: My App!
Signed-By:
    -----BEGIN PGP PUBLIC KEY BLOCK-----
    .
    mDME
    -----END PGP PUBLIC KEY BLOCK-----
Suites: stable next
Types: deb
URIs: https://apt.example.org
`,
  );
  t.deepEqual(one.changes.map(({ field }) => field), ['content']);
  const fetched = await made({ signed_by: 'https://apt.example.org/key' });
  t.deepEqual(fetched.changes.map(({ field }) => field), ['key', 'content']);
  t.like(fetched.result, { key_filename: '/etc/apt/keyrings/my-app.asc', dest: '/etc/apt/sources.list.d/my-app.sources' });
  t.deepEqual((await made({ state: 'absent' })).changes, []);
  await t.throwsAsync(made({ types: 'rpm' }), { message: /types are deb/ });
  await t.throwsAsync(made({ name: '!!' }), { message: /no name of a file/ });
});
