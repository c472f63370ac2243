import type { CommandModule } from 'yargs';
import type { Problem } from '../src/playbook/index.js';
import type { Play, Task } from '../src/playbook/types.js';
import type { Value } from '../src/value/value.js';
import { UsageError } from './exit.js';
import { type Flags, connectOptions } from './options.js';
import { type Prepared, execute, output, prepare, reporterOf } from './run.js';

interface ExecFlags extends Flags {
  pattern: string;
  moduleName?: string;
  args?: string;
  '--'?: string[];
}

/** `muster exec PATTERN -m MODULE -a ARGS` or `muster exec PATTERN -- COMMAND`: one task, no playbook. */
const exec: CommandModule<object, ExecFlags> = {
  builder: (argv) =>
    argv
      .positional('pattern', { type: 'string', describe: 'hosts and groups, as in a play' })
      .options(connectOptions)
      .options({
        'module-name': { type: 'string', alias: 'm', requiresArg: true, describe: 'module to run', defaultDescription: 'command' },
        args: { type: 'string', alias: 'a', requiresArg: true, describe: 'its arguments: key=value …, a dict, or free-form' },
        check: { type: 'boolean', alias: 'C', describe: 'change nothing' },
        diff: { type: 'boolean', alias: 'D', describe: 'show what changes' },
      })
      .example('$0 exec web -m apt -a "name=nginx state=present" -b', '')
      .example('$0 exec web -- systemctl is-active nginx', '') as never,
  handler: async (flags) => {
    const words = flags['--'] ?? [];
    if (words.length > 0 && (flags.moduleName !== undefined || flags.args !== undefined)) throw new UsageError('muster exec: give either -m and -a or -- COMMAND');
    if (words.length === 0 && flags.moduleName === undefined && flags.args === undefined) throw new UsageError('muster exec: what is to be run? -m MODULE -a ARGS, or -- COMMAND');
    const prepared = await prepare('exec', [], flags);
    const play = await onePlay(prepared, flags.pattern, words.length > 1 ? 'command' : (flags.moduleName ?? 'command'), words.length > 1 ? new Map<Value, Value>([['argv', words], ['expand_argument_vars', false]]) : (words[0] ?? flags.args));
    // Words of a command line are data, not expressions.
    if (words.length > 1) onlyTask(play).args.set('argv', words);
    const { ExecReporter } = await import('../src/report/exec.js');
    const reporter = flags.output === 'json' ? await reporterOf(flags, { diff: true, terse: false }) : new ExecReporter(output(flags));
    process.exitCode = await execute({ ...prepared, plays: [play] }, reporter);
  },
};
export default exec;

/**
 * A play of one task, as if it stood in a playbook in the working directory.
 * @param args a dict, or text: `key=value …`, a YAML dict, or free-form
 */
export async function onePlay(prepared: Prepared, pattern: string, module: string, args: Value | undefined): Promise<Play> {
  const { dumpYaml, parseYaml } = await import('../src/yaml/index.js');
  const { checkEntries, loadPlaybookText } = await import('../src/playbook/index.js');
  const given = typeof args === 'string' && args.trim().startsWith('{') && !args.trim().startsWith('{{') ? parseYaml(args, '-a') : (args ?? null);
  const task = new Map<Value, Value>([
    ['name', module],
    [module, given],
  ]);
  const text = dumpYaml([new Map<Value, Value>([['hosts', pattern], ['gather_facts', false], ['tasks', [task]]])]);
  const problems: Problem[] = [];
  const context = { projectDir: prepared.projectDir, rolesPath: prepared.rolesPath, extraVars: prepared.extraVars, problems };
  const { plays } = await loadPlaybookText(text, 'exec', context);
  // Words of a command line are data, whatever they look like.
  if (!(args instanceof Map)) for (const { sections, baseDir } of plays) for (const { entries } of sections) await checkEntries(entries, [], baseDir, context);
  // There is no file whose line could be shown.
  for (const { severity, message, hint } of problems) if (severity === 'error') throw new UsageError(`muster: ${message}${hint ? `; ${hint}` : ''}`);
  return plays[0]!;
}

function onlyTask(play: Play): Task {
  return play.sections.find(({ name }) => name === 'tasks')!.entries[0] as Task;
}
