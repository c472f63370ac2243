import type { Argv, CommandModule } from 'yargs';
import { didYouMean } from '../src/value/errors.js';
import { report } from './errors.js';
import { EXIT, UsageError } from './exit.js';
import { version } from './version.js';

/** Each verb is loaded only when it is called, so that `--help` and `--version` stay quick. */
const VERBS: { [verb: string]: { usage: string; about: string; load: () => Promise<{ default: CommandModule<any, any> }> } } = {
  apply: { usage: 'apply <playbook..>', about: 'bring hosts to the state playbooks describe', load: () => import('./apply.js') },
  plan: { usage: 'plan <playbook..>', about: 'show what apply would change; exit 2 when something would', load: () => import('./plan.js') },
  drift: { usage: 'drift <playbook..>', about: 'a plan for cron: silent when clean; --fix corrects', load: () => import('./drift.js') },
  schedule: { usage: 'schedule [playbook..]', about: 'have drift run by itself, by systemd or cron; --list, --remove', load: () => import('./schedule.js') },
  exec: { usage: 'exec <pattern>', about: 'run one module (-m, -a) or a command (-- COMMAND) on hosts', load: () => import('./exec.js') },
  facts: { usage: 'facts <pattern>', about: 'show what is known about hosts, as JSON', load: () => import('./facts.js') },
  unlock: { usage: 'unlock <pattern>', about: 'show who holds the lock of hosts, and take it away', load: () => import('./unlock.js') },
  inventory: { usage: 'inventory', about: 'show the inventory: list, graph, host', load: () => import('./inventory.js') },
  lint: { usage: 'lint [playbook..]', about: 'check playbooks without touching a host', load: () => import('./lint.js') },
  install: { usage: 'install', about: 'bring the roles and collections that requirements.yml names', load: () => import('./install.js') },
  doc: { usage: 'doc [module]', about: 'list modules, or show one\'s parameters and examples', load: () => import('./doc.js') },
  history: { usage: 'history', about: 'the runs that were kept; show RUN tells one again', load: () => import('./history.js') },
  report: { usage: 'report <run>', about: 'a run as one HTML page: changes, timeline, drift, slow tasks', load: () => import('./report.js') },
  vault: { usage: 'vault', about: 'encrypt files and values: create, edit, view, encrypt, decrypt, rekey, encrypt-string', load: () => import('./vault.js') },
  undo: { usage: 'undo <run>', about: 'take back what a run changed, the newest first, shown before', load: () => import('./undo.js') },
  bootstrap: { usage: 'bootstrap <host..>', about: 'make fresh machines hosts: an administrator with a key, a closed sshd, the inventory', load: () => import('./bootstrap.js') },
  lab: { usage: 'lab', about: 'throwaway Debian hosts on this machine: up, down, status, ssh, snapshot', load: async () => ({ default: (await import('./lab.js')).lab }) },
};

async function main(argv: string[]): Promise<number> {
  const verbosity = argv.reduce((sum, word) => sum + (/^-v+$/.test(word) ? word.length - 1 : 0), 0);
  // Whoever reads our output may stop reading (`| head`), or its disk be full: the run itself goes on to its end and keeps its exit code.
  let isTold = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isTold) return;
    isTold = true;
    process.stderr.write(`muster: output cannot be written (${error.message}); what is under way goes on without\n`);
  });
  process.stderr.on('error', () => {});
  try {
    await (await build(argv)).parseAsync();
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    // yargs throws this one past `fail`.
    const missing = error instanceof Error && error.name === 'YError' ? /^Not enough arguments following: (.*)$/.exec(error.message)?.[1] : undefined;
    if (missing) return report(new UsageError(`muster: ${missing.length === 1 ? '-' : '--'}${missing} needs a value`), verbosity);
    return report(error, verbosity);
  }
}

async function build(argv: string[]): Promise<Argv> {
  const { default: yargs } = await import('yargs');
  // yargs lays out a verb's help text whenever the verb runs; breaking its lines is most of that work.
  const helping = argv.some((word) => /^(-\w*h\w*|--help)$/.test(word));
  const parser = yargs(argv)
    .scriptName('muster')
    .usage('$0 VERB [options]\n\nBrings hosts to the state that Ansible playbooks describe, over SSH.')
    .parserConfiguration({ 'populate--': true, 'greedy-arrays': false, 'dot-notation': false, 'boolean-negation': false, 'parse-positional-numbers': false })
    .version(version())
    .alias('h', 'help')
    .strict()
    .recommendCommands()
    .demandCommand(1, 'which verb? (muster --help lists them)')
    .epilogue('muster VERB --help shows a verb\'s options. Exit codes: 0 done, 1 usage or content, 2 changes pending,\n3 failed, 4 unreachable, 5 locked, 6 guarded, 130 interrupted.')
    .wrap(helping ? Math.min(100, process.stdout.columns ?? 80) : null)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message: string | null, error: Error | undefined, usage) => {
      // What a verb throws comes without a message of yargs' own.
      if (!message) throw error;
      throw new UsageError(explain(message, argv, usage, parser));
    });
  for (const { usage, about, load } of Object.values(VERBS)) {
    let module: CommandModule<any, any> | undefined;
    parser.command(
      usage,
      about,
      async (options) => {
        module = (await load()).default;
        return (module.builder as (options: Argv) => Argv)(options);
      },
      (args) => module!.handler(args),
    );
  }
  // Asked for or not, yargs lays the text out whenever a verb has run.
  if (!helping) (parser as unknown as { getInternalMethods(): { getUsageInstance(): { cacheHelpMessage(): void } } }).getInternalMethods().getUsageInstance().cacheHelpMessage = () => undefined;
  return parser;
}

/** yargs' complaint in our words, with the flag that was meant. */
function explain(message: string, argv: string[], usage: unknown, parser: unknown): string {
  const [verb = '', word] = argv;
  const verbMeant = /^Did you mean (.*)\?$/.exec(message)?.[1];
  if (verbMeant || message === `Unknown argument: ${verb}`)
    return `muster: there is no verb "${VERBS[verb] ? `${verb} ${word}` : verb}"; ${verbMeant ? `did you mean "${verbMeant}"?` : 'muster --help lists them'}`;
  const known = Object.keys((usage as { getDescriptions(): { [option: string]: unknown } }).getDescriptions());
  let unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ');
  if (/^Not enough non-option arguments/.test(message) && VERBS[verb]) {
    // A flag that does not exist takes the word behind it for its value: then that is what is wrong.
    const flags = argv.slice(1, argv.includes('--') ? argv.indexOf('--') : undefined).flatMap((each) => /^--([\w-]+)/.exec(each)?.[1] ?? []);
    const aliases = Object.values((parser as { getAliases(): { [option: string]: string[] } }).getAliases()).flat();
    unknown = flags.filter((flag) => !known.includes(flag) && !aliases.includes(flag));
    if (unknown.length === 0) return `muster: something is missing; usage: muster ${VERBS[verb].usage}`;
  }
  if (!unknown) return `muster: ${message}`;
  // yargs names a flag of several words twice, the second time in camel case.
  const named = unknown.filter((name) => !unknown.some((other) => other !== name && other.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) === name));
  return named
    .map((name) => {
      const hint = didYouMean(name, known)?.replace(/"(.*)"/, '--$1');
      return `muster: unknown argument "${name}"; ${hint ?? `muster ${VERBS[verb] ? `${verb} ` : ''}--help shows what there is`}`;
    })
    .join('\n');
}

/** Runs what the command line says, to the end of the process. */
export async function start(argv: string[]): Promise<never> {
  const code = await main(argv);
  // A pipe takes what it has room for; the rest waits for whoever reads it.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((written) => stream.write('', written))));
  process.exit(code);
}
