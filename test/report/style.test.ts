import test from 'ava';
import { compressHosts } from '../../src/report/hosts.js';
import { liveLines } from '../../src/report/live.js';
import { duration, harmless, truncate, wantsColour, width, wrap } from '../../src/report/style.js';

test('host names are compressed', (t) => {
  t.is(compressHosts(['web1', 'web2', 'web3', 'web10', 'db1']), 'web[1-3], web10, db1');
  t.is(compressHosts(['web1', 'web2']), 'web1, web2');
  t.is(compressHosts(['node01.a', 'node02.a', 'node03.a', 'node1.a']), 'node[01-03].a, node1.a');
  t.is(compressHosts(['10.0.0.1', '10.0.0.2', '10.0.0.3']), '10.0.0.1, 10.0.0.2, 10.0.0.3');
  t.is(compressHosts(['a']), 'a');
});

test('NO_COLOR and FORCE_COLOR decide before the terminal does', (t) => {
  t.true(wantsColour({ isTTY: true }, {}));
  t.false(wantsColour({ isTTY: true }, { NO_COLOR: '1' }));
  t.false(wantsColour({ isTTY: true }, { TERM: 'dumb' }));
  t.true(wantsColour({}, { FORCE_COLOR: '1' }));
  t.false(wantsColour({ isTTY: true }, { FORCE_COLOR: '0' }));
  t.false(wantsColour({}, { NO_COLOR: '1', FORCE_COLOR: '1' }));
  t.false(wantsColour({}, { NO_COLOR: '' }));
});

test('nothing that controls a terminal stays', (t) => {
  t.is(harmless('a\x1b[31mb\x07\u202ec\r\nd\te'), 'a\\x1b[31mb\\x07\\u202ec\nd\te');
});

test('wide characters count twice, combining ones not at all', (t) => {
  t.is(width('aé日本\u0301'), 6);
  t.is(truncate('日本語', 5), '日本…');
});

test('wrapping keeps what fits as it is', (t) => {
  t.deepEqual(wrap('a  b', 10), ['a  b']);
  t.deepEqual(wrap('one two three', 7), ['one two', 'three']);
});

test('durations', (t) => {
  t.deepEqual([0.24, 12.3, 125, 7260].map(duration), ['0.2s', '12s', '2m05s', '2h01m']);
});

test('live lines: one for each busy host, capped to the height, cut to the width', (t) => {
  const busy = new Map(Array.from({ length: 100 }, (_, i) => [`web${i}`, { task: 'a task with quite a long name, longer than the window is wide', since: 0, tail: 'some output' }]));
  const lines = liveLines(busy, 65_000, 60, 10);
  t.is(lines.length, 7);
  t.true(lines.every((line) => width(line) < 60));
  t.regex(lines[0]!, /^web0 +1m05s  a task/);
  t.is(lines.at(-1), 'and 94 more hosts busy, the longest for 1m05s');
  t.is(liveLines(new Map(), 0, 80, 24).length, 0);
});
