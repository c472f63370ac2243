import test from 'ava';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '../../src/modules/at.js';
import { converge, inShells, look, type Place } from './harness.js';

/** at and atq that keep their jobs as files in a folder. */
async function fakeAt(place: Place): Promise<string> {
  const [tools, jobs] = [join(place.dir, '..', 'at'), join(place.dir, '..', 'jobs')];
  for (const folder of [tools, jobs]) await mkdir(folder);
  await writeFile(join(tools, 'atq'), `#!/bin/sh\nfor j in ${jobs}/*; do [ ! -e "$j" ] || printf '%s\\tThu Jan  1 00:00:00 2032 a root\\n' "\${j##*/}"; done\n`, { mode: 0o755 });
  await writeFile(
    join(tools, 'at'),
    `#!/bin/sh
case $1 in
-c) printf '#!/bin/sh\\numask 22\\n'; cat ${jobs}/$2 ;;
-r) shift; for j do rm ${jobs}/$j; done ;;
*) if [ "$1" = -f ]; then exec <"$2"; shift 2; fi
  n=7; while [ -e ${jobs}/$n ]; do n=$((n + 1)); done
  { cat; printf '# %s\\n' "$*"; } >${jobs}/$n; echo "job $n" >&2 ;;
esac
`,
    { mode: 0o755 },
  );
  place.env['PATH'] = `${tools}:${place.env['PATH'] ?? process.env['PATH']!}`;
  return jobs;
}

inShells(test, 'jobs are added, once where they are to be unique, and taken away', async (t, place) => {
  const jobs = await fakeAt(place);
  const command = "echo 'it''s' >/dev/null";
  t.deepEqual((await converge(t, place, at, { command, count: 20, units: 'minutes' })).result, { state: 'present', count: 20, units: 'minutes' });
  t.is(await readFile(join(jobs, '7'), 'utf8'), `${command}\n# now + 20 minutes\n`);
  await converge(t, place, at, { command, count: 2, units: 'days' });
  t.deepEqual((await look(t, place, at, { command, count: 2, units: 'days', unique: true })).changes, []);
  const script_file = join(place.dir, 'a script');
  await writeFile(script_file, 'true\n\n');
  await converge(t, place, at, { script_file, count: 1, units: 'weeks', unique: true });
  t.deepEqual(await readdir(jobs), ['7', '8', '9']);
  t.deepEqual((await converge(t, place, at, { command, state: 'absent' })).changes, [{ field: 'jobs', from: ['7', '8'], to: [] }]);
  t.deepEqual(await readdir(jobs), ['9']);
  await t.throwsAsync(look(t, place, at, { script_file: '/none', state: 'absent' }), { message: /none/ });
});

test('what does not go together is refused', (t) => {
  for (const args of [{}, { command: 'x' }, { command: 'x', script_file: '/y', state: 'absent' }, { command: 'x', count: 1 }]) t.is(at.params.safeParse(args).success, false);
});
