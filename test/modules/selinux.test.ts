import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { selinux } from '../../src/modules/selinux.js';
import { controller, converge, inShells, look } from './harness.js';

const CONFIG = '# modes\nSELINUX=enforcing\n#SELINUXTYPE=x\nSELINUXTYPE=targeted\n';
const entry = { path: '/etc/selinux/config', stat: { kind: 'file', mode: 0o644 } as never, target: undefined, sha256: undefined };

/** A host in a mode, by its kernel and its file. */
async function on(args: object, now: 'enforcing' | 'permissive' | 'disabled', text = CONFIG, kernel?: boolean | null) {
  const wanted = await selinux.prepare!(selinux.params.parse(args), controller());
  const observed = { entry, umask: 0o022, content: Buffer.from(text), now, kernel };
  const changes = selinux.compare(wanted, observed);
  return { changes: changes.map(({ field, from, to, text: file }) => [field, file ? file.after : `${String(from)} ${String(to)}`]), result: selinux.result(wanted, observed), script: changes.length > 0 ? selinux.apply(wanted, observed, changes).script.text : '' };
}

test('selinux: the mode now and at boot', async (t) => {
  const targeted = { policy: 'targeted' };
  t.deepEqual((await on({ ...targeted, state: 'enforcing' }, 'enforcing')).changes, []);
  const permissive = await on({ ...targeted, state: 'permissive' }, 'enforcing');
  t.deepEqual(permissive.changes, [['content', CONFIG.replace('enforcing', 'permissive')], ['state', 'enforcing permissive']]);
  t.regex(permissive.script, /setenforce 0/);
  t.like(permissive.result, { reboot_required: false, policy: 'targeted', msg: "SELinux state changed from 'enforcing' to 'permissive', Config SELinux state changed from 'enforcing' to 'permissive'" });
  const disabled = await on({ state: 'disabled' }, 'enforcing');
  t.deepEqual(disabled.changes, [['content', CONFIG.replace('enforcing', 'disabled')], ['state', 'enforcing permissive']]);
  t.like(disabled.result, { reboot_required: true, policy: 'targeted', msg: "Config SELinux state changed from 'enforcing' to 'disabled'" });
  t.deepEqual((await on({ state: 'disabled' }, 'permissive', CONFIG.replace('enforcing', 'disabled'))).changes, []);
  const enabled = await on({ policy: 'mls', state: 'enforcing', update_kernel_param: true }, 'disabled', '# nothing', false);
  t.deepEqual(enabled.changes, [['content', '# nothing\nSELINUX=enforcing\nSELINUXTYPE=mls\n'], ['kernel', 'disabled enabled']]);
  t.regex(enabled.script, /grubby --update-kernel=ALL --remove-args selinux=0/);
  t.deepEqual((await on({ state: 'disabled', update_kernel_param: true }, 'disabled', 'SELINUX=disabled\n', null)).changes, [['kernel', '<inconsistent> disabled']]);
  t.throws(() => selinux.params.parse({ state: 'permissive' }), { message: /Policy is required/ });
});

inShells(test, 'selinux: the file of settings', async (t, place) => {
  const configfile = join(place.dir, 'config');
  await t.throwsAsync(look(t, place, selinux, { state: 'disabled', configfile }), { message: /Unable to find file/ });
  await writeFile(configfile, CONFIG);
  await converge(t, place, selinux, { state: 'disabled', configfile });
  t.is(await readFile(configfile, 'utf8'), CONFIG.replace('enforcing', 'disabled'));
  await t.throwsAsync(look(t, place, selinux, { state: 'enforcing', policy: 'none-such', configfile }), { message: /Policy none-such does not exist/ });
});
