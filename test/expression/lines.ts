import { readdirSync, readFileSync } from 'node:fs';

/** A line of `cases/FILE.txt`: an expression (in `templates.txt` a template), and the text of what it gives, ERROR where it is refused. */
export interface CaseLine {
  file: string;
  text: string;
  wanted: string;
}

const folder = 'test/expression/cases';
const unescaped = (text: string): string => text.replace(/\\(.)/g, (_, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? letter);

/** All lines of all files, in order. */
export function caseLines(): CaseLine[] {
  return readdirSync(folder).toSorted().flatMap((name) => {
    const file = name.replace('.txt', '');
    return readFileSync(`${folder}/${name}`, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line): CaseLine => {
      const split = line.lastIndexOf(' => ');
      const text = line.slice(0, split);
      return { file, text: file === 'templates' ? unescaped(text) : text, wanted: unescaped(line.slice(split + 4)) };
    });
  });
}
