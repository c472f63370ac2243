import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';

/**
 * The table in docs/architecture.md, held true: every import that crosses from one room to another must stand there.
 * `import type` of the two contracts that everyone speaks is free.
 */
const CONTRACTS = new Set(['src/report/events.ts', 'src/modules/module.ts']);

/** Room -> what it may import: rooms (`src/value`), or one file of a room (`src/playbook/types.ts`). */
function table(): Map<string, Set<string>> {
  const rows = readFileSync('docs/architecture.md', 'utf8').matchAll(/^\| `(?<room>[\w/]+?)\/?` \|.*\| (?<may>[^|]+) \|$/gm);
  const rooms = new Map<string, Set<string>>();
  for (const { groups } of rows) {
    const { room, may } = groups as { room: string; may: string };
    const words = may.split(/,\s*/).map((word) => word.replace(/\s*\(.*\)/, '').trim());
    const allowed = words.flatMap((word) => {
      if (word === 'nothing') return [];
      if (word === 'all above') return [...rooms.keys()].filter((above) => above !== 'cli');
      if (word === 'everything') return ['*'];
      const [name, part] = word.split(' ');
      return [part === undefined ? `src/${name}` : `src/${name}/${part}.ts`];
    });
    rooms.set(room, new Set(allowed));
  }
  return rooms;
}

const roomOf = (file: string): string => (file.startsWith('cli/') ? 'cli' : file.split('/').slice(0, 2).join('/'));

/** Imports of a file that cross rooms: `src/engine/run.ts -> src/report/mask.ts`. */
function crossings(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const found = [
    ...text.matchAll(/^(?:import|export)(?<type> type)?\s[^'";]*?['"](?<path>\.{1,2}\/[^'"]+)['"]/gm),
    ...text.matchAll(/\bimport\((?<type>)['"`](?<path>\.{1,2}\/[^'"`]+)['"`]\)/g),
  ];
  return found
    .map(({ groups }) => ({ type: Boolean(groups!['type']), target: normalize(join(dirname(file), groups!['path']!)).replace(/\.js$/, '.ts') }))
    .filter(({ type, target }) => roomOf(target) !== roomOf(file) && !(type && CONTRACTS.has(target)))
    .map(({ target }) => target);
}

test('rooms import only what docs/architecture.md lets them', (t) => {
  const rooms = table();
  const files = ['cli', 'src'].flatMap((top) => readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => join(top, name)));
  t.true(rooms.size > 10 && files.flatMap(crossings).length > 100);
  const wrong: string[] = [];
  for (const file of files) {
    const allowed = rooms.get(roomOf(file));
    if (allowed === undefined) wrong.push(`${file}: its room is not in the table`);
    else if (!allowed.has('*')) {
      for (const target of crossings(file)) if (!allowed.has(roomOf(target)) && !allowed.has(target)) wrong.push(`${file} imports ${target}`);
    }
  }
  t.deepEqual(wrong, []);
});
