import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { addHost, addToGroup, groupsOf, hostsOf, loadInventory, matchHosts } from '../../src/inventory/index.js';
import { expandRanges } from '../../src/inventory/ranges.js';
import { ContentError } from '../../src/value/errors.js';

const file = 'test/inventory/patterns.yml';
const origin = { file: 'x', line: 1, column: 1 };

const cases: [pattern: string | string[], hosts: string[]][] = [
  ['all', ['solo', 'web1', 'web2', 'web3', 'db1.example.com', 'db2.example.com']],
  ['*', ['solo', 'web1', 'web2', 'web3', 'db1.example.com', 'db2.example.com']],
  ['web', ['web1', 'web2', 'web3']],
  ['web1', ['web1']],
  ['web:db', ['web1', 'web2', 'web3', 'db1.example.com', 'db2.example.com']],
  ['db,web2', ['db1.example.com', 'db2.example.com', 'web2']],
  [['db', 'solo:web1'], ['db1.example.com', 'db2.example.com', 'solo', 'web1']],
  ['web:&prod:!web3', ['web1']],
  ['!web', ['solo', 'db1.example.com', 'db2.example.com']],
  ['&prod', ['web1', 'web3', 'db1.example.com']],
  ['prod:!web:web1', ['db1.example.com']],
  ['*.example.com', ['db1.example.com', 'db2.example.com']],
  ['web?', ['web1', 'web2', 'web3']],
  ['w*', ['web1', 'web2', 'web3']],
  ['web[0]', ['web1']],
  ['web[-1]', ['web3']],
  ['web[0:1]', ['web1', 'web2']],
  ['web[1:]', ['web2', 'web3']],
  ['web[1-2]', ['web2', 'web3']],
  ['web[0:1]:&prod', ['web1']],
  ['~web[12]', ['web1', 'web2']],
  ['~(web|db)\\d', ['web1', 'web2', 'web3', 'db1.example.com', 'db2.example.com']],
  ['~(?i)WEB1$', ['web1']],
  ['ungrouped', ['solo']],
  ['localhost', ['localhost']],
  ['127.0.0.1', ['127.0.0.1']],
  ['', []],
];

for (const [pattern, hosts] of cases) {
  test(`pattern ${JSON.stringify(pattern)}`, async (t) => {
    const matched = matchHosts(pattern, await loadInventory([file]));
    t.deepEqual(matched, { hosts, unmatched: [], limitUnmatched: [] });
  });
}

test('what names nothing is told, with a suggestion', async (t) => {
  const inventory = await loadInventory([file]);
  t.deepEqual(matchHosts('wbe:web1:zzzzzz*', inventory), {
    hosts: ['web1'],
    unmatched: [{ pattern: 'wbe', hint: 'did you mean "web"?' }, { pattern: 'zzzzzz*', hint: undefined }],
    limitUnmatched: [],
  });
  t.deepEqual(matchHosts('all', inventory, { limit: 'web4' }), {
    hosts: [],
    unmatched: [],
    limitUnmatched: [{ pattern: 'web4', hint: 'did you mean "web"?' }],
  });
});

test('a limit narrows, keeps the order of the pattern, and can come from a file', async (t) => {
  const inventory = await loadInventory([file]);
  t.deepEqual(matchHosts('web', inventory, { limit: 'web3,web1' }).hosts, ['web1', 'web3']);
  t.deepEqual(matchHosts('all', inventory, { limit: '@test/inventory/limit.txt' }).hosts, ['web2', 'db1.example.com']);
  t.throws(() => matchHosts('all', inventory, { limit: '@test/inventory/none.txt' }), { instanceOf: ContentError, message: /none\.txt/ });
});

test('an index that is not there and a broken regular expression are errors', async (t) => {
  const inventory = await loadInventory([file]);
  t.throws(() => matchHosts('web[7]', inventory), { instanceOf: ContentError, message: 'no host is at "web[7]"' });
  t.throws(() => matchHosts('~web(', inventory), { instanceOf: ContentError, message: /"~web\("/ });
});

test('localhost is implied, reached by connection local, and no member of all', async (t) => {
  const inventory = await loadInventory([file]);
  t.deepEqual(matchHosts('localhost', inventory).hosts, ['localhost']);
  t.is(inventory.hosts.get('localhost')!.vars.get('ansible_connection'), 'local');
  t.false(matchHosts('all', inventory).hosts.includes('localhost'));
  t.deepEqual(groupsOf(inventory, 'localhost').map((group) => group.name), ['all']);
  addToGroup(inventory, 'localhost', 'controllers');
  t.deepEqual(matchHosts('controllers', inventory).hosts, ['localhost']);
  t.is(inventory.hosts.get('localhost')!.vars.get('ansible_connection'), 'local');
});

test('hosts and groups made while a play runs', async (t) => {
  const inventory = await loadInventory([file]);
  t.deepEqual(hostsOf(inventory, 'web'), ['web1', 'web2', 'web3']);
  addHost(inventory, 'web4', ['web', 'fresh'], new Map([['port', 81]]));
  addHost(inventory, 'bare', [], new Map());
  addToGroup(inventory, 'solo', 'debian_12', ['debian']);
  t.deepEqual(hostsOf(inventory, 'web'), ['web1', 'web2', 'web3', 'web4']);
  t.deepEqual(hostsOf(inventory, 'fresh'), ['web4']);
  t.deepEqual(hostsOf(inventory, 'debian'), ['solo']);
  t.deepEqual(hostsOf(inventory, 'ungrouped'), ['bare']);
  t.deepEqual(groupsOf(inventory, 'solo').map((group) => group.name), ['all', 'debian', 'debian_12']);
  t.deepEqual([...hostsOf(inventory, 'all')].sort(), [...inventory.hosts.keys()].sort());
});

test('patterns are an algebra of sets', async (t) => {
  const inventory = await loadInventory([file]);
  const name = fc.constantFrom('all', 'web', 'db', 'prod', 'web1', 'solo', 'w*', '~.*2');
  const of = (pattern: string) => matchHosts(pattern, inventory).hosts;
  fc.assert(fc.property(name, name, name, (a, b, c) => {
    const [A, B, C] = [a, b, c].map((pattern) => new Set(of(pattern))) as [Set<string>, Set<string>, Set<string>];
    t.deepEqual(new Set(of(`${a}:${b}`)), new Set([...A, ...B]));
    t.deepEqual(of(`${a}:&${b}:!${c}`), of(a).filter((host) => B.has(host) && !C.has(host)));
    t.deepEqual(of(`!${c}:${a}:&${b}`), of(`${a},&${b},!${c}`));
    t.deepEqual(matchHosts(a, inventory, { limit: b }).hosts, of(`${a}:&${b}`));
  }));
});

test('a range has every step-th number from its start to its end, at its width', (t) => {
  fc.assert(fc.property(fc.nat(500), fc.nat(60), fc.integer({ min: 1, max: 7 }), fc.boolean(), (start, length, step, padded) => {
    const width = padded ? 4 : 0;
    const pad = (n: number) => String(n).padStart(width, '0');
    const names = expandRanges(`a[${pad(start)}:${pad(start + length)}:${step}]z`, origin);
    const wanted = Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => `a${pad(start + i * step)}z`);
    t.deepEqual(names, wanted);
  }));
});

test('names too long for a file are refused, before ranges multiply them; whatever stands in brackets is read in one pass', async (t) => {
  t.throws(() => expandRanges(`${'[1:3]'.repeat(9)}${'x'.repeat(70_000)}`, origin), { instanceOf: ContentError, message: /^"\[1:3\].*…" is longer than the 255 characters/ });
  t.is(expandRanges('x'.repeat(255), origin).length, 1);
  // Read in the cube of its length, this would take hours.
  for (const text of [`[${':22'.repeat(60_000)}`, `[${':'.repeat(180_000)}]`]) {
    const path = join(mkdtempSync(join(tmpdir(), 'muster-test-')), 'hosts');
    t.teardown(() => rmSync(dirname(path), { recursive: true }));
    writeFileSync(path, text);
    await t.throwsAsync(loadInventory([path]), { instanceOf: ContentError });
  }
});

test('ten thousand hosts load into one group and match', async (t) => {
  const inventory = await loadInventory(['web[00001:10000],']);
  t.is(matchHosts('all:!web1*', inventory).hosts.length, 9999);
  t.is(matchHosts([...inventory.hosts.keys()].join(','), inventory).hosts.length, 10_000);
});
