import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import command from '../../src/modules/command.js';
import raw from '../../src/modules/raw.js';
import script from '../../src/modules/script.js';
import type { ModuleError } from '../../src/modules/module.js';
import shell from '../../src/modules/shell.js';
import { splitWords } from '../../src/modules/words.js';
import { command as run, inShells } from './harness.js';

const hostile = ["a'b", 'a"b', '$(touch bad)', '`touch bad`', '*', '~', '-n', 'a\\nb', 'a\nb', '', '$HOME', '; touch bad', 'ä€', '${IFS}', '!', '#x', '\\'];

inShells(test, 'command: words reach the program as they are', async (t, place) => {
  const args = { argv: ['printf', '<%s>', ...hostile], expand_argument_vars: 'no' };
  const { result } = await run(t, place, command, args);
  t.is(result!['stdout'], hostile.map((word) => `<${word}>`).join(''));
  t.is(result!['rc'], 0);
  t.regex(String(result!['delta']), /^0:00:0\d\.\d{6}$/);
  t.regex(String(result!['start']), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
});

inShells(test, 'command: $NAME and ~ are expanded by the host, unset names are left', async (t, place) => {
  place.env['COLOUR'] = "it's  blue*";
  const { result } = await run(t, place, command, { cmd: `printf '<%s>' $COLOUR "x\${COLOUR}y" '$COLOUR' $NOPE \${NOPE} $1 ~ ~/x ~nobody-here $ \${} a~` });
  const blue = "it's  blue*";
  t.is(result!['stdout'], `<${blue}><x${blue}y><${blue}><$NOPE><\${NOPE}><$1><${place.dir}><${place.dir}/x><~nobody-here><$><\${}><a~>`);
});

inShells(test, 'command: no word of the shell stands in for a program', async (t, place) => {
  await t.throwsAsync(run(t, place, command, { cmd: 'exit 3' }), { message: "[Errno 2] No such file or directory: b'exit'" });
  t.is((await run(t, place, command, { cmd: 'false' })).result!['rc'], 1);
});

inShells(test, 'command: a program that is not there, or may not be executed', async (t, place) => {
  const fields = async (args: object) => ((await t.throwsAsync(run(t, place, command, args))) as ModuleError).fields;
  t.deepEqual(await fields({ argv: ['no such', '-x'] }), { cmd: "'no such' -x", rc: 2, stdout: '', stderr: '' });
  await writeFile(join(place.dir, 'plain'), '');
  t.like(await fields({ cmd: './plain' }), { rc: 13, cmd: './plain' });
  // What a program itself ends with is its own.
  t.like((await run(t, place, command, { cmd: "sh -c 'echo hm >&2; exit 127'" })).result, { rc: 127, stderr: 'hm' });
});

inShells(test, 'shell and raw: $0 is the shell, and a mistake in the text fails', async (t, place) => {
  for (const module of [shell, raw]) {
    t.is(String((await run(t, place, module, { cmd: 'echo $0 $#' })).result!['stdout']).trim(), '/bin/sh 0');
    t.is(String((await run(t, place, module, { cmd: 'echo $0', executable: '/bin/bash' })).result!['stdout']).trim(), '/bin/bash');
    t.not((await run(t, place, module, { cmd: 'if' })).result!['rc'], 0);
    t.is((await run(t, place, module, { cmd: 'set -e; false; echo no' })).result!['rc'], 1);
  }
});

inShells(test, 'a folder is entered by its real path', async (t, place) => {
  await mkdir(join(place.dir, 'real'));
  await symlink('real', join(place.dir, 'link'));
  t.regex(String((await run(t, place, shell, { cmd: 'echo $PWD', chdir: 'link' })).result!['stdout']), /\/real$/);
});

inShells(test, 'command: executable is not used, and a warning says so', async (t, place) => {
  const { result } = await run(t, place, command, { cmd: 'echo x', executable: '/bogus' });
  t.is(result!['stdout'], 'x');
  t.regex(String(result!['warnings']), /no longer supported.*\/bogus/);
  t.false('warnings' in (await run(t, place, command, { cmd: 'echo x' })).result!);
});

inShells(test, 'a folder that is not there fails command and shell', async (t, place) => {
  for (const module of [command, shell]) {
    const error = await t.throwsAsync(run(t, place, module, { cmd: 'echo x', chdir: "it's gone" }), { message: /^Unable to change directory before execution: .*it's gone/ });
    t.is((error as ModuleError).fields['stdout'], '');
  }
});

inShells(test, 'command: standard input, folder, ends', async (t, place) => {
  await mkdir(join(place.dir, 'a b'));
  const nothing = await run(t, place, command, { cmd: 'cat' });
  t.is(nothing.result!['stdout'], '');
  const given = await run(t, place, command, { cmd: 'cat -', stdin: "it's\n%s\\n\n", strip_empty_ends: false });
  t.is(given.result!['stdout'], "it's\n%s\\n\n\n");
  const bare = await run(t, place, command, { cmd: 'cat', stdin: 'x', stdin_add_newline: false, strip_empty_ends: false });
  t.is(bare.result!['stdout'], 'x');
  const there = await run(t, place, command, { cmd: 'pwd', chdir: 'a b' });
  t.is(there.result!['stdout'], join(place.dir, 'a b'));
  t.deepEqual((await run(t, place, command, { cmd: 'printf "a\\n\\nb\\n\\n"' })).result!['stdout_lines'], ['a', '', 'b']);
});

inShells(test, 'creates and removes, patterns too, are looked for where the command runs', async (t, place) => {
  await mkdir(join(place.dir, 'sub dir'));
  await writeFile(join(place.dir, 'sub dir', 'done-1 $x'), '');
  const guarded = async (args: object) => (await run(t, place, shell, { cmd: 'echo ran', ...args })).guarded;
  t.is(await guarded({ creates: 'sub dir/done-1 $x' }), "Did not run command since 'sub dir/done-1 $x' exists");
  t.is(await guarded({ creates: 'done-*', chdir: 'sub dir' }), "Did not run command since 'done-*' exists");
  t.is(await guarded({ creates: '~/sub d?r/done-[0-9]*' }), "Did not run command since '~/sub d?r/done-[0-9]*' exists");
  t.is(await guarded({ creates: 'done-*' }), undefined);
  t.is(await guarded({ removes: 'done-*' }), "Did not run command since 'done-*' does not exist");
  t.is(await guarded({ removes: 'sub dir' }), undefined);
  t.is(await guarded({ creates: '$(touch bad)' }), undefined);
});

inShells(test, 'shell: interprets its text, reads nothing, keeps the exit status', async (t, place) => {
  const { result } = await run(t, place, shell, { cmd: "a='x  y'; echo \"$a\" | tr x z; cat; echo err >&2; exit 7" });
  t.is(result!['stdout'], 'z  y');
  t.is(result!['stderr'], 'err');
  t.is(result!['rc'], 7);
  const read = await run(t, place, shell, { cmd: 'read line; echo "<$line>"', stdin: 'in put' });
  t.is(read.result!['stdout'], '<in put>');
  const broken = await run(t, place, shell, { cmd: 'echo "open' });
  t.not(broken.result!['rc'], 0);
  const long = `: ${'x'.repeat(300_000)}\necho end`;
  t.is((await run(t, place, shell, { cmd: long })).result!['stdout'], 'end');
});

inShells(test, 'shell: another executable', async (t, place) => {
  const { result } = await run(t, place, shell, { cmd: 'set -o pipefail; false | true; echo $? ${BASH_VERSION:+bash}', executable: '/bin/bash' });
  t.is(result!['stdout'], '1 bash');
  const perl = await run(t, place, shell, { cmd: 'ok', executable: '/usr/bin/env' });
  t.not(perl.result!['rc'], 0);
}, ['dash', 'bash']);

inShells(test, 'shell: the text is in no process list', async (t, place) => {
  const { result } = await run(t, place, shell, { cmd: 'secret=gTr5x; cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\000" " " | grep -c "secret=g[T]r5x" || true' });
  t.is(result!['stdout'], '0');
});

inShells(test, 'raw', async (t, place) => {
  const { result } = await run(t, place, raw, { cmd: 'echo a; echo b >&2; exit 4' });
  t.like(result, { stdout: 'a\n', stderr: 'b\n', rc: 4 });
  t.deepEqual(result!['stdout_lines'], ['a']);
});

inShells(test, 'script: with arguments, folder and its own interpreter', async (t, place) => {
  const file = join(place.dir, '..', 'it\'s a script');
  await writeFile(file, '#!/bin/sh -u\nprintf "<%s>" "$@"; echo; cat; pwd; exit 5\n');
  await mkdir(join(place.dir, 'x'));
  const { result } = await run(t, place, script, { cmd: `"${file}" one 'two  three' "$HOME"`, chdir: 'x' });
  t.is(result!['stdout'], `<one><two  three><${place.dir}>\n${join(place.dir, 'x')}\n`);
  t.is(result!['rc'], 5);
  await writeFile(file, 'print "perl @ARGV"\n');
  const perl = await run(t, place, script, { cmd: `"${file}" a`, executable: '/usr/bin/perl -w' });
  t.is(perl.result!['stdout'], 'perl a');
  await writeFile(file, 'echo plain');
  t.is((await run(t, place, script, { cmd: `"${file}"` })).result!['stdout'], 'plain\n');
});

test('a command needs words, once', (t) => {
  t.false(command.params.safeParse({}).success);
  t.false(command.params.safeParse({ cmd: 'a', argv: ['a'] }).success);
  t.false(command.params.safeParse({ cmd: "it's open" }).success);
  t.true(command.params.safeParse({ cmd: 'echo "it\'s"' }).success);
});

test('words are split as shlex does', (t) => {
  t.deepEqual(splitWords(`a "b c"'d' e\\ f '' "\\x\\"\\\\" #g`), ['a', 'b cd', 'e f', '', '\\x"\\', '#g']);
  t.throws(() => splitWords('"open'));
  t.throws(() => splitWords('end\\'));
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const quoted = words.map((word) => `'${word.replaceAll("'", `'"'"'`)}'`).join(' ');
      t.deepEqual(splitWords(quoted), words);
    }),
  );
});
