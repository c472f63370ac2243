import test from 'ava';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalConnection } from '../../src/connection/local.js';
import type { Channel, Change, Returns } from '../../src/modules/module.js';
import { synchronize } from '../../src/modules/synchronize.js';
import { controller } from './harness.js';

/** The real rsync, both ends of it on this machine, over a connection as the engine has it. */
async function talk(args: object, delegate?: string): Promise<{ changes: Change[]; result: Returns; left: Change[] }> {
  const connection = new LocalConnection('here');
  const channel: Channel = {
    open: (target) => connection.open(target, undefined),
    ask: async (script) => (await connection.trip({ effect: undefined, inspections: [{ script, become: undefined, environment: {} }] })).inspections[0]!,
    program: (script) => connection.program(script, undefined),
  };
  try {
    const wanted = await synchronize.prepare!(synchronize.params.parse(args), controller({ delegate }));
    const session = await synchronize.connect(wanted, channel);
    try {
      const observed = await synchronize.inspect(wanted, session);
      const changes = synchronize.compare(wanted, observed);
      const applied = changes.length > 0 ? await synchronize.apply(wanted, session, observed, changes) : undefined;
      const left = synchronize.compare(wanted, await synchronize.inspect(wanted, session));
      return { changes, result: synchronize.result(wanted, observed, applied ?? undefined), left };
    } finally {
      await synchronize.close(session);
    }
  } finally {
    await connection.close();
  }
}

test('synchronize: pushes, pulls, deletes, and finds nothing to do again', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'muster-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const src = join(root, 'a folder');
  const dest = join(root, "it's there");
  await mkdir(join(src, 'deep'), { recursive: true });
  await writeFile(join(src, 'deep', 'file'), 'x'.repeat(300_000));
  await symlink('deep/file', join(src, 'link'));
  const first = await talk({ src: `${src}/`, dest });
  t.deepEqual(first.left, []);
  t.true(first.result['changed']);
  t.true((first.result['stdout_lines'] as string[]).includes('<f+++++++++ deep/file'), String(first.result['msg']));
  t.is(await readFile(join(dest, 'deep', 'file'), 'utf8'), 'x'.repeat(300_000));
  t.deepEqual((await talk({ src: `${src}/`, dest })).changes, []);

  await writeFile(join(dest, 'extra'), '');
  await talk({ src: `${src}/`, dest, delete: true, rsync_opts: ['--exclude=deep'] });
  t.deepEqual((await readdir(dest)).sort(), ['deep', 'link']);

  await writeFile(join(dest, 'deep', 'file'), 'changed');
  const pulled = await talk({ src: dest, dest: join(root, 'back'), mode: 'pull', archive: false, recursive: true, times: true, compress: false });
  t.deepEqual([pulled.left, await readdir(join(root, 'back', "it's there"))], [[], ['deep']]);
  const own = await talk({ src: `${dest}/`, dest: join(root, 'beside') }, 'host1');
  t.deepEqual([own.left, (await readdir(join(root, 'beside'))).length], [[], 2]);
});

test('synchronize: a file of another time only', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'muster-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const [src, dest] = [join(root, 'a'), join(root, 'b')];
  await writeFile(src, 'same');
  await writeFile(dest, 'same');
  await utimes(dest, 1, 1);
  const { changes } = await talk({ src, dest, checksum: true });
  t.regex(String((changes[0]!.to as string[])[0]), /^\.f\.\.t/);
  t.deepEqual((await talk({ src, dest, checksum: true })).changes, []);
});

test('synchronize: what does not work says why', async (t) => {
  await t.throwsAsync(talk({ src: '/nowhere at all', dest: '/tmp/x' }), { message: /nowhere at all.*No such file/s });
  await t.throwsAsync(talk({ src: '/etc/hostname', dest: '/tmp/x', rsync_path: '/no/rsync' }), { message: /the host has no \/no\/rsync; install the package rsync/ });
  await t.throwsAsync(talk({ src: '/x', dest: 'y', mode: 'pull' }), { message: /whole path/ });
  await t.throwsAsync(talk({ src: '/x', dest: '/y' }, 'localhost'), { message: /leave delegate_to out/ });
  t.throws(() => synchronize.params.parse({ src: 'host:/x', dest: '/y' }), { message: /without a host in front/ });
  t.throws(() => synchronize.params.parse({ src: '/x', dest: '/y', delete: true, archive: false }), { message: /recursive/ });
});
