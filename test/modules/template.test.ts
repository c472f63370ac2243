import test from 'ava';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { template } from '../../src/modules/template.js';
import { controller, converge, inShells, look, modeOf } from './harness.js';

inShells(test, 'a rendered template lands in a folder under its own name', async (t, place) => {
  const src = join(place.dir, 'my.cnf.hbs');
  await writeFile(src, '', { mode: 0o640 });
  const on = controller({ render: async () => ({ text: 'port = 1\nhost = 2\n', secrets: [] }) });
  const { result } = await converge(t, place, template, { src, dest: `${place.dir}/conf/`, mode: 'preserve', newline_sequence: '\\r\\n' }, on);
  const dest = join(place.dir, 'conf', 'my.cnf.hbs');
  t.is(await readFile(dest, 'utf8'), 'port = 1\r\nhost = 2\r\n');
  t.is(await modeOf(dest), '0640');
  t.like(result, { dest, src, state: 'file' });
});

inShells(test, 'a failed validation names the template', async (t, place) => {
  const src = join(place.dir, 'x.hbs');
  await writeFile(src, 'text');
  const dest = join(place.dir, 'x');
  await t.throwsAsync(converge(t, place, template, { src, dest, validate: 'false %s' }), { message: /validation of .*x\.hbs for .*\/x failed/ });
  t.is((await look(t, place, template, { src, dest })).changes.length, 1);
});
