import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { OURS, TARGETS } from './targets.js';

/**
 * Feeds one target with mutations of valid cases for some time, in a process of its own: one that hangs or eats all
 * memory can be seen from outside. Writes each input to `folder` before it is fed,
 * what came of it all at the end.
 */
export interface Orders {
  target: string;
  milliseconds: number;
  seed: number;
  folder: string;
}

export interface Told {
  runs: number;
  slowest: { milliseconds: number; text: string };
  failure: string | undefined;
}

/** What harms readers of any language. */
const HOSTILE = [
  '\0', '\x1b[31m', '\x07', '\r', '\t', '\u202e', '\u2028', '\ufeff', '\ud800', '\u{1f600}', 'é', '$(touch /tmp/x)', '`id`', "'", '"', '\\', '\n', ';', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '9'.repeat(400), '1e999', '-0', '../../etc/passwd', 'x'.repeat(70_000),
];

interface Edit {
  kind: 'insert' | 'delete' | 'double' | 'repeat' | 'wrap' | 'cut';
  at: number;
  length: number;
  token: number;
  times: number;
}

function mutated(base: string, edits: readonly Edit[], tokens: readonly string[]): string {
  let text = base;
  for (const { kind, at, length, token, times } of edits) {
    const from = Math.floor(at * (text.length + 1));
    const piece = text.slice(from, from + length);
    const word = tokens[token % tokens.length]!;
    if (kind === 'insert') text = text.slice(0, from) + word + text.slice(from);
    else if (kind === 'delete') text = text.slice(0, from) + text.slice(from + length);
    else if (kind === 'double') text = text.slice(0, from) + piece + piece + text.slice(from + length);
    else if (kind === 'repeat') text = text.slice(0, from) + word.repeat(Math.min(times, Math.ceil(200_000 / word.length))) + text.slice(from);
    else if (kind === 'wrap') text = text.slice(0, from) + word + piece + tokens[(token + times) % tokens.length]! + text.slice(from + length);
    else text = text.slice(0, from);
  }
  return text;
}

async function main({ target: name, milliseconds, seed, folder }: Orders): Promise<void> {
  const site = join(folder, 'site');
  mkdirSync(site);
  const target = await TARGETS[name]!(site);
  const tokens = [...target.tokens, ...target.tokens, ...HOSTILE];
  const unit = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  const edit: fc.Arbitrary<Edit> = fc.record({
    kind: fc.oneof({ weight: 6, arbitrary: fc.constant('insert' as const) }, { weight: 8, arbitrary: fc.constantFrom('delete' as const, 'double' as const, 'wrap' as const) }, { weight: 1, arbitrary: fc.constantFrom('repeat' as const, 'cut' as const) }),
    at: unit,
    length: fc.oneof(fc.nat(12), fc.nat(400)),
    token: fc.nat(tokens.length - 1),
    times: fc.oneof(fc.nat(40), fc.nat(20_000)),
  });
  let runs = 0;
  let slowest = { milliseconds: 0, text: '' };
  const property = fc.asyncProperty(fc.constantFrom('', ...target.seeds), fc.array(edit, { minLength: 1, maxLength: 8 }), async (base, edits) => {
    const text = mutated(base, edits, tokens);
    runs++;
    writeFileSync(join(folder, 'input'), text);
    const began = performance.now();
    try {
      await target.run(text);
    } catch (error) {
      if (!OURS.some((kind) => error instanceof kind)) throw error;
    } finally {
      const took = performance.now() - began;
      if (took > slowest.milliseconds) slowest = { milliseconds: Math.round(took), text };
    }
  });
  // The first input without a limit: fast-check calls it a failure (with no path, no error and no counterexample) where the time is up before one is done, as on a busy machine.
  let result = await fc.check(property, { seed, numRuns: 1 });
  if (!result.failed) result = await fc.check(property, { seed, numRuns: 1_000_000_000, interruptAfterTimeLimit: milliseconds, markInterruptAsFailure: false });
  const [base, edits] = result.counterexample ?? [];
  const told: Told = {
    runs,
    slowest,
    failure: result.counterexamplePath !== null ? `seed ${result.seed}, path ${result.counterexamplePath}\n${String((result.errorInstance as Error | undefined)?.stack ?? result.errorInstance)}\nfed with ${JSON.stringify(mutated(base ?? '', edits ?? [], tokens)).slice(0, 2000)}` : undefined,
  };
  writeFileSync(join(folder, 'told'), JSON.stringify(told));
}

await main(JSON.parse(process.argv[2]!) as Orders);
