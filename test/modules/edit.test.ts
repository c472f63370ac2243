import test from 'ava';
import { chmod, lstat, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blockinfile } from '../../src/modules/blockinfile.js';
import { lineinfile } from '../../src/modules/lineinfile.js';
import { replace } from '../../src/modules/replace.js';
import type { Declarative, Output } from '../../src/modules/module.js';
import { before, controller, converge, inShells, look, modeOf } from './harness.js';

/** The answer of a host whose file holds this text. */
function answer(text: string | null): Output {
  const there = `file\0/f\0\x0081a4 0 0 1 ${text === null ? 0 : Buffer.byteLength(text)} 1 1 1 1 1\nroot\nroot\n\0`;
  const stdout = text === null ? '0022\0absent\0/f\0\0\0\0' : `0022\0${there}${Buffer.from(text).toString('base64')}\0`;
  return { rc: 0, stdout, stderr: '' };
}

/** The text a module makes of a text; null stands for no file. */
async function edited(module: Declarative<any, any, any>, args: object, text: string | null): Promise<string | null> {
  const parsed = module.params.parse({ path: '/f', ...args });
  const wanted = module.prepare ? await module.prepare(parsed, controller()) : parsed;
  const changes = module.compare(wanted, module.parse(answer(text), wanted));
  return changes.length === 0 ? text : (changes[0]!.text?.after ?? null);
}

type Case = [args: object, from: string | null, to: string | null];

const LINES: Case[] = [
  [{ line: 'c' }, 'a\nb\n', 'a\nb\nc\n'],
  [{ line: 'c' }, 'a\nb', 'a\nb\nc\n'],
  [{ line: 'b' }, 'a\nb\n', 'a\nb\n'],
  [{ line: 'a', create: true }, null, 'a\n'],
  [{ line: 'x', regexp: '^b' }, 'b1\nb2\nc\n', 'b1\nx\nc\n'],
  [{ line: 'x', regexp: '^b', firstmatch: true }, 'b1\nb2\nc\n', 'x\nb2\nc\n'],
  [{ line: 'x', regexp: 'b$' }, 'ab\nbc\n', 'x\nbc\n'],
  [{ line: 'x', search_string: '.*' }, 'ab\n.*\n', 'ab\nx\n'],
  [{ line: 'x=\\2 \\1', regexp: '^(\\w+)=(?P<v>\\w+)', backrefs: true }, 'a=b\n', 'x=b a\n'],
  [{ line: '\\g<v>', regexp: '^(\\w+)=(?P<v>\\w+)', backrefs: true }, 'a=b\n', 'b\n'],
  [{ line: 'x', regexp: 'nothing', backrefs: true }, 'a\n', 'a\n'],
  [{ line: 'x', insertafter: '^a' }, 'a1\na2\nb\n', 'a1\na2\nx\nb\n'],
  [{ line: 'x', insertafter: '^a', firstmatch: true }, 'a1\na2\nb\n', 'a1\nx\na2\nb\n'],
  [{ line: 'x', insertafter: '^b' }, 'a\nb', 'a\nb\nx\n'],
  [{ line: 'x', insertbefore: '^b' }, 'a\nb\n', 'a\nx\nb\n'],
  [{ line: 'x', insertbefore: 'BOF' }, 'a\n', 'x\na\n'],
  [{ line: 'x', insertbefore: 'none' }, 'a\n', 'a\nx\n'],
  [{ line: 'x', regexp: '^b', insertbefore: '^a' }, 'a\nb\n', 'a\nx\n'],
  [{ line: 'x y', regexp: '^x', insertafter: '^a' }, 'a\nx y\nb\n', 'a\nx y\nb\n'],
  [{ line: 'b', state: 'absent' }, 'a\nb\nb', 'a\n'],
  [{ regexp: '^b', state: 'absent' }, 'a\nb1\nab\nb2\n', 'a\nab\n'],
  [{ search_string: 'b', state: 'absent' }, 'a\nb1\nab\n', 'a\n'],
  [{ line: 'x', state: 'absent' }, null, null],
  [{ line: 'a\r' }, 'a\r\n', 'a\r\na\r\n'],
];
for (const [args, from, to] of LINES) {
  test(`lineinfile ${JSON.stringify(args)} on ${JSON.stringify(from)}`, async (t) => t.is(await edited(lineinfile, args, from), to));
}

const [BEGIN, END] = ['# BEGIN ANSIBLE MANAGED BLOCK', '# END ANSIBLE MANAGED BLOCK'];
const BLOCKS: Case[] = [
  [{ block: 'x\ny' }, 'a\n', `a\n${BEGIN}\nx\ny\n${END}\n`],
  [{ block: 'x\n' }, 'a', `a\n${BEGIN}\nx\n${END}\n`],
  [{ block: 'x', create: true }, null, `${BEGIN}\nx\n${END}\n`],
  [{ block: 'new' }, `a\n${BEGIN}\nold\n${END}\nb\n`, `a\n${BEGIN}\nnew\n${END}\nb\n`],
  [{ block: 'same' }, `${BEGIN}\nsame\n${END}\n`, `${BEGIN}\nsame\n${END}\n`],
  [{ block: '' }, `a\n${BEGIN}\nold\n${END}\nb\n`, 'a\nb\n'],
  [{ block: 'x', state: 'absent' }, `a\n${BEGIN}\nold\n${END}`, 'a\n'],
  [{ block: 'x', insertbefore: 'BOF' }, 'a\n', `${BEGIN}\nx\n${END}\na\n`],
  [{ block: 'x', insertafter: '^a' }, 'a\nb\n', `a\n${BEGIN}\nx\n${END}\nb\n`],
  [{ block: 'x', insertbefore: '^b' }, 'a\nb\n', `a\n${BEGIN}\nx\n${END}\nb\n`],
  [{ block: 'x', insertafter: '^a', append_newline: true, prepend_newline: true }, 'a\nb\n', `a\n\n${BEGIN}\nx\n${END}\n\nb\n`],
  [{ block: 'x', insertafter: '(?m)^a\n^b' }, 'a\nb\nc\n', `a\nb\n${BEGIN}\nx\n${END}\nc\n`],
  [{ block: 'x', marker: '<!-- {mark} -->', marker_begin: 'A', marker_end: 'Z' }, '', '<!-- A -->\nx\n<!-- Z -->\n'],
  [{ state: 'absent' }, null, null],
];
for (const [args, from, to] of BLOCKS) {
  test(`blockinfile ${JSON.stringify(args)} on ${JSON.stringify(from)}`, async (t) => t.is(await edited(blockinfile, args, from), to));
}

const REPLACEMENTS: Case[] = [
  [{ regexp: 'a', replace: 'b' }, 'a\nca\n', 'b\ncb\n'],
  [{ regexp: '^(\\s*)old(\\s.*)?$', replace: '\\1new\\2' }, ' old x\nold\nbold\n', ' new x\nnew\nbold\n'],
  [{ regexp: 'x\\n' }, 'x\ny\nx\n', 'y\n'],
  [{ regexp: '(?P<k>\\w+)=', replace: '\\g<k>: ' }, 'a=1\n', 'a: 1\n'],
  [{ regexp: 'x', replace: 'y', after: '<a>', before: '</a>' }, 'x\n<a>\nx\n</a>\nx\n', 'x\n<a>\ny\n</a>\nx\n'],
  [{ regexp: 'x', replace: 'y', after: 'b' }, 'x\nb\nx\n', 'x\nb\ny\n'],
  [{ regexp: 'x', replace: 'y', before: 'b' }, 'x\nb\nx\n', 'y\nb\nx\n'],
  [{ regexp: 'x', replace: 'y', after: 'none' }, 'x\n', 'x\n'],
  [{ regexp: '$', replace: ';' }, 'a\nb', 'a;\nb;'],
  [{ regexp: 'a', replace: '$& $1' }, 'a', '$& $1'],
  [{ regexp: '^a.$', replace: 'b' }, 'a\r\nax\n', 'b\nb\n'],
  [{ regexp: 'a$', replace: 'b' }, 'a\r\na', 'a\r\nb'],
];
for (const [args, from, to] of REPLACEMENTS) {
  test(`replace ${JSON.stringify(args)} on ${JSON.stringify(from)}`, async (t) => t.is(await edited(replace, args, from), to));
}

test('replace tells of a part that is not there', async (t) => {
  const wanted = replace.params.parse({ path: '/f', regexp: 'x', replace: 'y', after: 'b', before: 'a' });
  const observed = replace.parse(answer('a x b'), wanted);
  t.deepEqual(replace.compare(wanted, observed), []);
  t.is(replace.result(wanted, observed)['msg'], 'Pattern for before/after params did not match the given file: b(?P<subsection>.*?)a');
});

test('arguments that contradict each other are refused', async (t) => {
  await t.throwsAsync(edited(lineinfile, { line: 'x', insertafter: 'a', insertbefore: 'b' }, ''), { message: /mutually exclusive: insertbefore\|insertafter/ });
  await t.throwsAsync(edited(lineinfile, { line: 'x', backrefs: true }, ''), { message: /regexp is required with backrefs=true/ });
  await t.throwsAsync(edited(lineinfile, { line: 'x' }, null), { message: 'Destination /f does not exist !' });
  await t.throwsAsync(edited(lineinfile, { line: 'x', regexp: '(' }, ''), { message: /regex/ });
});

inShells(test, 'a line lands in the file behind a link, whose owner and mode stay', async (t, place) => {
  const path = join(place.dir, "it's a link");
  await writeFile(join(place.dir, 'real'), 'one\n');
  await chmod(join(place.dir, 'real'), 0o640);
  await symlink('real', path);
  const looked = await look(t, place, lineinfile, { path, line: '$(x) ünï "two"' });
  t.is(await before(place, lineinfile, looked, looked.changes[0]!), 'one\n');
  const { result } = await converge(t, place, lineinfile, { path, line: '$(x) ünï "two"', backup: true });
  t.is(await readFile(path, 'utf8'), 'one\n$(x) ünï "two"\n');
  t.is(await modeOf(path), '0640');
  t.true((await lstat(path)).isSymbolicLink());
  t.is(result['msg'], 'line added');
  t.is(await readFile(result['backup'] as string, 'utf8'), 'one\n');
  t.is(result['backup_file'], result['backup']);
  for (const [module, args] of [[blockinfile, { block: 'x' }], [replace, { regexp: 'one', replace: 'two' }]] as const) {
    const old = await readFile(path, 'utf8');
    const kept = await converge(t, place, module, { path, ...args, backup: true });
    t.is(await readFile(kept.result['backup_file'] as string, 'utf8'), old);
    t.false('backup_file' in (await converge(t, place, module, { path, ...args, backup: true })).result);
  }
});

inShells(test, 'a file that is no UTF-8 keeps every other byte', async (t, place) => {
  const path = join(place.dir, 'latin');
  await writeFile(path, Buffer.from('caf\xe9\0\nx\n', 'latin1'));
  await converge(t, place, replace, { path, regexp: 'x', replace: 'é' });
  t.deepEqual(await readFile(path), Buffer.concat([Buffer.from('caf\xe9\0\n', 'latin1'), Buffer.from('é\n')]));
});

inShells(test, 'an edit that is not valid leaves the file', async (t, place) => {
  const path = join(place.dir, 'f');
  await writeFile(path, 'a\n');
  await t.throwsAsync(converge(t, place, blockinfile, { path, block: 'bad', validate: 'grep -q good %s' }), { message: /validation of the edited text.*failed/ });
  t.is(await readFile(path, 'utf8'), 'a\n');
  await converge(t, place, blockinfile, { path, block: 'good', validate: 'grep -q good %s', mode: '0600' });
  t.is(await modeOf(path), '0600');
  await converge(t, place, lineinfile, { path: join(place.dir, 'new/dir/f'), line: 'x', create: true });
  await converge(t, place, blockinfile, { path: join(place.dir, 'another/dir/f'), block: 'x', create: true });
  t.deepEqual((await readdir(place.dir)).sort(), ['another', 'f', 'new']);
  await t.throwsAsync(look(t, place, lineinfile, { path: place.dir, line: 'x' }), { message: /^Path .* is a directory !$/ });
  await t.throwsAsync(look(t, place, replace, { path: join(place.dir, 'none'), regexp: 'x' }), { message: /^Path .*none does not exist !$/ });
});
