import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import type { Difference, Event, Failure, Status, TaskResult } from '../../src/report/events.js';
import { ExecReporter } from '../../src/report/exec.js';
import { FactsReporter } from '../../src/report/facts.js';
import { MASKED, Mask } from '../../src/report/mask.js';
import { TerminalReporter } from '../../src/report/terminal.js';

/** Whatever a host says, in whatever order events come, the terminal is not painted by it and nothing throws. */
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\x1b', '[', '2', 'J', '\n', '\r', '\0', '\u202e', '\x9b', 'a', ' ', '\t', '日') }));
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const origin = fc.record({ file: text, line: fc.nat(), column: fc.nat() });
const difference: fc.Arbitrary<Difference> = fc.record({ field: text, from: fc.oneof(text, fc.anything()), to: fc.oneof(text, fc.anything()), diff: maybe(text), secret: fc.boolean() }).filter(isJson);
const failure: fc.Arbitrary<Failure> = fc.record({ message: text, doing: maybe(text), command: maybe(text), rc: maybe(fc.integer()), stderr: maybe(text), stdout: maybe(text), remedy: maybe(text), origin: maybe(origin) });
const status = fc.constantFrom<Status>('ok', 'changed', 'failed', 'unreachable', 'skipped', 'ignored', 'rescued', 'unknown');
const data = fc.dictionary(text, fc.oneof(text, fc.jsonValue()), { maxKeys: 4 });
const result: fc.Arbitrary<TaskResult> = fc.record({ status, message: maybe(text), changes: fc.array(difference, { maxLength: 2 }), data, error: maybe(failure), seconds: fc.nat() });
const host = fc.oneof(text, fc.constantFrom('web1', 'web2', 'web03', 'web04'));
const id = fc.constantFrom('1', '2');
const counts = fc.record({ ok: fc.nat(), changed: fc.nat(), failed: fc.nat(), unreachable: fc.nat(), skipped: fc.nat(), rescued: fc.nat(), ignored: fc.nat(), unknown: fc.nat() });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ event: fc.constant('play' as const), play: text, hosts: fc.array(host, { maxLength: 4 }), origin }),
  fc.record({ event: fc.constant('task' as const), task: text, id, origin, handler: fc.boolean(), action: fc.constantFrom('debug', 'copy') }),
  fc.record({ event: fc.constant('busy' as const), host, task: text, id }),
  fc.record({ event: fc.constant('item' as const), host, id, label: text, result }),
  fc.record({ event: fc.constant('result' as const), host, id, task: text, origin, delegate: maybe(host), result }),
  fc.record({ event: fc.constant('retry' as const), host, task: text, attempt: fc.nat(), retries: fc.nat(), delay: fc.nat(), why: text }),
  fc.record({ event: fc.constant('warning' as const), message: text, host }),
  fc.record({ event: fc.constant('confirm' as const), host, block: text, origin, state: fc.constantFrom('arming' as const, 'confirmed' as const, 'unconfirmed' as const, 'rolled-back' as const, 'left' as const), message: text }),
  fc.record({ event: fc.constant('note' as const), message: text }),
  fc.record({ event: fc.constant('interrupted' as const), again: fc.boolean() }),
  fc.record({ event: fc.constant('recap' as const), hosts: fc.dictionary(host, counts, { maxKeys: 3 }), seconds: fc.nat(), exitCode: fc.nat() }),
);

function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

const DANGEROUS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

test('no text of a host reaches the terminal as a control character', (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), fc.integer({ min: 1, max: 200 }), fc.nat({ max: 3 }), fc.boolean(), (events, columns, verbosity, terse) => {
      let written = '';
      const output = { write: (piece: string) => void (written += piece), colour: false, columns: () => columns, verbosity };
      const reporters = [
        new TerminalReporter({ ...output, diff: true, stats: true, terse, live: undefined }),
        new ExecReporter(output),
        new FactsReporter(output, false, output.write),
      ];
      for (const reporter of reporters) {
        for (const each of events) reporter.event(each);
        reporter.close();
      }
      return !DANGEROUS.test(written) && written === stripVTControlCharacters(written);
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('no secret survives masking, wherever it stands', (t) => {
  const secret = fc.string({ minLength: 4, unit: 'grapheme' }).filter((value) => value.trim().length >= 4 && !'*'.repeat(99).includes(value));
  fc.assert(
    fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), fc.string(), fc.string(), (secrets, before, after) => {
      const mask = new Mask();
      for (const each of secrets) mask.add(each);
      return secrets.every((each) => {
        const spelt = [each, JSON.stringify(each), Buffer.from(each).toString('base64'), encodeURIComponent(each), each.replaceAll("'", "'\\''")];
        return spelt.every((spelling) => {
          const clean = mask.text(before + spelling + after);
          return clean.includes(MASKED) && !mask.text(clean).includes(each);
        });
      });
    }),
  );
  t.pass();
});
