import test from 'ava';
import fc from 'fast-check';
import { actionNames, checkProject, loadPlaybookText, type LoadContext } from '../../src/playbook/index.js';
import { checkEntries } from '../../src/playbook/check.js';
import { HANDLER, PLAY, ROLE, BLOCK } from '../../src/playbook/keywords.js';
import { toValue } from '../../src/value/value.js';
import { dumpYaml } from '../../src/yaml/index.js';

/** Anything YAML can hold, shallow: what a keyword or argument might wrongly be given. */
const junk: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, -1, 1.5, '', ' ', 'text', 'a=b', '{{ x }}', '{{ x', '{% if %}', '- x', "it's \"quoted", 'x.yml', '/', '..', '*', '\n', '<<'),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'name', 'block', 'file', 'role', 'when', '{{ k }}', '__proto__', 'constructor', ''), tie('any'), { maxKeys: 3 }),
  ),
})).any;

const dictOf = (keys: string[]) => fc.dictionary(fc.constantFrom(...keys), junk, { maxKeys: 5 });
const modules = [...actionNames, 'ping', 'command', 'copy', 'template', 'apt', 'toString', 'with_items', 'with_x'];
const task = dictOf([...Object.keys(HANDLER), ...modules]);
const block = fc.record({ block: fc.array(task, { maxLength: 2 }), rest: dictOf(Object.keys(BLOCK)) }).map(({ block, rest }) => ({ block, ...rest }));
const entries = fc.array(fc.oneof(task, block, junk), { maxLength: 3 });
const play = fc
  .record({ tasks: entries, handlers: entries, roles: fc.array(fc.oneof(junk, dictOf(Object.keys(ROLE))), { maxLength: 2 }), rest: dictOf([...Object.keys(PLAY), 'import_playbook']) })
  .map(({ rest, ...lists }) => ({ hosts: 'all', ...lists, ...rest }));

test('whatever a playbook holds, loading and checking it ends with problems, never with an exception', async (t) => {
  let problems = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 9, arbitrary: play }, { weight: 1, arbitrary: junk }), { maxLength: 2 }), async (plays) => {
      const ctx: LoadContext = { projectDir: 'test/imagined', rolesPath: [], extraVars: new Map(), problems: [] };
      const loaded = await loadPlaybookText(dumpYaml(toValue(plays)), 'test/imagined/site.yml', ctx);
      for (const each of loaded.plays) {
        await checkEntries([...each.sections.flatMap((section) => section.entries), ...each.handlers], each.roles, each.baseDir, ctx);
      }
      for (const { message } of ctx.problems) t.regex(message, /\S/);
      problems += ctx.problems.length;
    }),
    { numRuns: 300 },
  );
  t.true(problems > 300);
});

test('a playbook that is not there is a problem', async (t) => {
  const ctx: LoadContext = { projectDir: 'test/imagined', rolesPath: [], extraVars: new Map(), problems: [] };
  const [problem] = await checkProject(['test/imagined/site.yml', 'test'], ctx);
  t.is(problem!.message, 'cannot read test/imagined/site.yml: there is no such file');
  t.is(ctx.problems[1]!.message, 'cannot read test: it is a folder');
});
