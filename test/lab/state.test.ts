import test from 'ava';
import fc from 'fast-check';
import { LabError } from '../../src/lab/run.js';
import { address, bridgeName, checkName, subnet } from '../../src/lab/state.js';

const names = fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/);

test('the lab of the inventory keeps its subnet', (t) => {
  t.is(subnet('lab', () => true), '198.18.0');
  t.is(address('198.18.0', 0), '198.18.0.11');
});

test('every other lab gets a free /24 of 198.18.0.0/15, the same one each time', (t) => {
  fc.assert(
    fc.property(names, fc.array(fc.nat(510)), (name, takenNumbers) => {
      fc.pre(name !== 'lab');
      const taken = new Set(takenNumbers.map((n) => `198.${18 + ((n + 1) >> 8)}.${(n + 1) & 255}`));
      const net = subnet(name, (net) => taken.has(net));
      t.regex(net, /^198\.(18|19)\.\d{1,3}$/);
      t.not(net, '198.18.0');
      t.false(taken.has(net));
      t.is(net, subnet(name, (net) => taken.has(net)));
    }),
  );
  t.throws(() => subnet('other', () => true), { instanceOf: LabError, message: /is taken/ });
});

test('a name that fits is one Linux takes for a bridge', (t) => {
  fc.assert(
    fc.property(names, (name) => {
      checkName('lab', name);
      t.true(bridgeName(name).length <= 15);
    }),
  );
  for (const name of ['', 'Lab', '1st', 'a_b', '../x', 'averylongname']) {
    t.throws(() => checkName('lab', name), { instanceOf: LabError });
  }
});
