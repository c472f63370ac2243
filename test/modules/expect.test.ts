import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import expect from '../../src/modules/expect.js';
import type { ModuleError } from '../../src/modules/module.js';
import { command as run, inShells } from './harness.js';

const ASKS = `printf 'Name: '; read -r name; stty -echo; printf 'Password: '; read -r word; echo; printf 'Again? '; read -r again; echo "$name/$word/$again"; tty -s && exit \${1:-0}\n`;

inShells(test, 'expect: what is asked on a terminal is answered', async (t, place) => {
  await writeFile(join(place.dir, 'asks'), ASKS);
  const { result } = await run(t, place, expect, { command: "sh 'asks'", responses: { '(?i)name: ': "it's me", '(?P<what>Pass)word: $': 'a"b\\', 'Again\\?': ['no'] } });
  t.like(result, { rc: 0, cmd: "sh 'asks'", msg: '' });
  t.deepEqual(result!['stdout_lines'], ['Name: Password: ', 'Again? it\'s me/a"b\\/no']);
  t.regex(String(result!['delta']), /^0:00:0\d\.\d{6}$/);
  const shown = await run(t, place, expect, { command: 'sh asks', echo: true, responses: { 'Name: ': 'me', 'word: ': 'hidden', Again: 'yes' } });
  t.is((shown.result!['stdout_lines'] as string[])[0], 'Name: me');
}, ['dash', 'bash']);

inShells(test, 'expect: answers of a list are given in turn, and run out', async (t, place) => {
  const command = `sh -c 'for i in 1 2; do printf "$i? "; read -r a; echo "<$a>"; done'`;
  t.regex(String((await run(t, place, expect, { command, responses: { '\\?': ['x', 'y'] } })).result!['stdout']), /1\? <x>\s+2\? <y>$/);
  t.regex(String((await run(t, place, expect, { command, responses: { '\\? ': 7 } })).result!['stdout']), /1\? <7>\s+2\? <7>$/);
  await t.throwsAsync(run(t, place, expect, { command, responses: { '\\?': ['x'] } }), { message: /^No remaining responses for '\\\?', output was '1\? <x>/ });
}, ['dash', 'bash']);

inShells(test, 'expect: what goes wrong', async (t, place) => {
  const fields = async (args: object, message: RegExp | string) => ((await t.throwsAsync(run(t, place, expect, { responses: {}, ...args }), { message })) as ModuleError).fields;
  t.like(await fields({ command: 'sleep 60', timeout: 1 }, 'command exceeded timeout'), { rc: null });
  t.like(await fields({ command: "sh -c 'echo out; exit 3'" }, 'non-zero return code'), { rc: 3, stdout: 'out' });
  t.like(await fields({ command: "sh -c 'kill -9 $$'" }, 'non-zero return code'), { rc: 137 });
  await fields({ command: 'no-such-program' }, /^The command was not found or was not executable: no-such-program \(No such file/);
  await fields({ command: 'true', responses: { '(': 'x' } }, /Unmatched \(/);
  await fields({ command: 'true', chdir: 'gone' }, /^Unable to change directory before execution: .*gone/);
  t.is((await run(t, place, expect, { command: 'true', responses: {}, creates: '.' })).guarded, "Did not run command since '.' exists");
}, ['dash', 'bash']);
