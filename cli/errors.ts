import { ContentError } from '../src/value/errors.js';
import { EXIT, UsageError } from './exit.js';

/**
 * Says on stderr what went wrong and gives the exit code: content errors as a compiler does, with the line and a caret;
 * a fault of Muster's own with its stack under `-vvv`.
 */
export async function report(error: unknown, verbosity: number): Promise<number> {
  const { mask } = await import('../src/report/mask.js');
  const { harmless } = await import('../src/report/style.js');
  const say = (text: string) => process.stderr.write(`${harmless(mask.text(text))}\n`);
  if (error instanceof UsageError) {
    say(error.message);
    return error.exitCode;
  }
  if (error instanceof AggregateError && error.errors.length > 0 && error.errors.every((each) => each instanceof ContentError)) {
    for (const each of error.errors) await report(each, verbosity);
    return EXIT.usage;
  }
  if (error instanceof ContentError) {
    const { renderProblem } = await import('../src/playbook/problems.js');
    say(renderProblem({ severity: 'error', message: error.message, origin: error.origin, hint: error.hint }));
    return EXIT.usage;
  }
  if (error instanceof Error && error.name === 'LabError') {
    say(error.message);
    return EXIT.usage;
  }
  const text = error instanceof Error ? (verbosity >= 3 ? (error.stack ?? error.message) : error.message) : String(error);
  say(`muster: internal error: ${text}`);
  say(verbosity >= 3 ? 'This is a fault of Muster; please report it with the text above.' : 'This is a fault of Muster; -vvv shows where it happened.');
  return EXIT.usage;
}
