import test from 'ava';
import { moduleNames } from '../../src/modules/index.js';
import { actionNames, checkEntries, loadPlaybookText, loadSpec, renderProblem, type Entry, type LoadContext } from '../../src/playbook/index.js';

/** Problems an example may have: it names files, roles and handlers of an imagined project. */
const IMAGINED = /^there is no (file|role|handler|task file|file of variables) /;

for (const name of [...actionNames, ...moduleNames].sort()) {
  test(`the examples of ${name} are right`, async (t) => {
    const { examples } = await loadSpec(name);
    t.true(examples.length > 0);
    for (const example of examples) {
      const ctx: LoadContext = { projectDir: 'test/imagined', rolesPath: [], extraVars: new Map(), problems: [] };
      const text = `- hosts: all\n  tasks:\n${example.replace(/^(?=.)/gm, '    ')}`;
      const { plays } = await loadPlaybookText(text, `test/imagined/${name}.yml`, ctx);
      const entries = plays.flatMap((play) => play.sections.flatMap((section) => section.entries));
      await checkEntries(entries, [], 'test/imagined', ctx);
      t.deepEqual(ctx.problems.filter(({ message }) => !IMAGINED.test(message)).map(renderProblem), []);
      const uses = (entry: Entry): boolean => (entry.kind === 'task' ? entry.action === name : [...entry.block, ...entry.rescue, ...entry.always].some(uses));
      t.true(entries.some(uses) || name.startsWith('import_'), 'it uses the module');
    }
  });
}
