import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Event } from '../../src/report/events.js';
import { stripVTControlCharacters } from 'node:util';
import { width } from '../../src/report/style.js';
import { TerminalReporter } from '../../src/report/terminal.js';

/**
 * Recorded cases: a folder each, with `events.ndjson`, optional `options.json` and the expected text at 80 and 160 columns
 * and in colour (`80.colour.txt`). RECORD=1 writes them anew.
 */
const CASES = join('test', 'report', 'cases');

function render(name: string, columns: number, colour: boolean): string {
  const folder = join(CASES, name);
  const given = existsSync(join(folder, 'options.json')) ? JSON.parse(readFileSync(join(folder, 'options.json'), 'utf8')) : {};
  let text = '';
  const reporter = new TerminalReporter({
    write: (piece) => (text += piece),
    colour,
    columns: () => columns,
    verbosity: 0,
    diff: false,
    stats: false,
    terse: false,
    live: undefined,
    ...given,
  });
  for (const line of readFileSync(join(folder, 'events.ndjson'), 'utf8').trim().split('\n')) reporter.event(JSON.parse(line) as Event);
  reporter.close();
  return text;
}

for (const name of readdirSync(CASES)) {
  for (const [columns, colour] of [
    [80, false],
    [160, false],
    [80, true],
  ] as const) {
    const file = `${columns}${colour ? '.colour' : ''}.txt`;
    test(`${name}: ${file}`, (t) => {
      const text = render(name, columns, colour);
      const path = join(CASES, name, file);
      if (process.env['RECORD']) writeFileSync(path, text);
      t.is(text, readFileSync(path, 'utf8'));
      t.notRegex(stripVTControlCharacters(text), /[\x00-\x08\x0b-\x1f\x7f-\x9f]/, 'nothing a host said controls the terminal');
      if (!colour) t.is(text, stripVTControlCharacters(text));
    });
  }
}

test('lines Muster makes itself fit the window', (t) => {
  for (const line of render('apply', 80, false).split('\n')) t.true(width(line) <= 80, line);
});
