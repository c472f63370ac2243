import { execFileSync } from 'node:child_process';
import test from 'ava';
import { answerOf } from '../../src/plugins/answer.js';
import { openFiles } from '../../src/plugins/bridge.js';

const said = (stdout: string) => answerOf('thing', { rc: 0, stdout, stderr: '' });

test('the answer of a module among what else was printed; what stands behind it is a warning', (t) => {
  t.deepEqual(said('leading\n{"changed": true}\n'), { changed: true, failed: false });
  t.deepEqual(said('{"changed": false, "warnings": ["own"]}\ntrailing\nlines\n'), { changed: false, failed: false, warnings: ['own', 'thing: trailing junk after module output: trailing\nlines'] });
  t.throws(() => said('no\n'), { message: /gave no result/ });
});

test('how many files a module in Python may have open: as the variable says, at most what the host lets', (t) => {
  const limit = (given: unknown) => execFileSync('/bin/sh', ['-c', `ulimit -S -n 100; ulimit -H -n 200\n${openFiles(given).text}\nulimit -S -n`], { encoding: 'utf8' }).trim();
  t.deepEqual([undefined, 0, 'none', 50, '150', 900].map(limit), ['100', '100', '100', '50', '150', '200']);
});
