/** Sets of replicated transactions (GTIDs), as MySQL and MariaDB write them down. */
import { str } from '../python.js';
import { table } from '../registry.js';
import { fail, type Result } from '../undefined.js';

/** Where a transaction came from (MySQL: server's UUID, and a tag; MariaDB: domain and server), and its numbers, both ends inclusive. */
type Transactions = Map<string, [first: bigint, last: bigint][]>;

export const GTIDS = table<Result>({
  'gtid_subtract(set, other)': (_, set, other) => {
    const [all, minus] = [parse(str(set)), parse(str(other))];
    const rest = [...all].flatMap(([source, ranges]) => {
      const left = ranges.flatMap((range) => without(range, minus.get(source) ?? []));
      // MariaDB counts through all servers of a domain: what lies between two numbers of one server need not be its own.
      if (left.length > 0 && isMariadb(source)) return [`${source}-${left.at(-1)![1]}`];
      return left.length > 0 ? [`${source}:${left.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(':')}`] : [];
    });
    return rest.join(',');
  },
});

function isMariadb(source: string): boolean {
  return /^\d+-\d+$/.test(source);
}

/** MySQL: `uuid:1-5:7,uuid:tag:1-3`. MariaDB: `domain-server-number`, which stands for all that this server wrote up to there. */
function parse(text: string): Transactions {
  const found: Transactions = new Map();
  const add = (source: string, first: bigint, last: bigint) => found.set(source, [...(found.get(source) ?? []), [first, last]]);
  for (const part of text.split(',').map((each) => each.trim().toLowerCase()).filter(Boolean)) {
    const position = /^(\d+-\d+)-(\d+)$/.exec(part);
    if (position) {
      add(position[1]!, 1n, BigInt(position[2]!));
      continue;
    }
    const [uuid, ...rest] = part.split(':').map((each) => each.trim());
    if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(uuid!) || rest.length === 0) return fail(`"${part}" is no set of GTIDs`, 'MySQL writes UUID:1-5, MariaDB DOMAIN-SERVER-NUMBER');
    let source = uuid!;
    for (const each of rest) {
      const range = /^(\d+)(?:-(\d+))?$/.exec(each);
      if (range) add(source, BigInt(range[1]!), BigInt(range[2] ?? range[1]!));
      else if (/^[a-z_]\w*$/.test(each)) source = `${uuid}:${each}`;
      else return fail(`"${part}" is no set of GTIDs`, `"${each}" is neither numbers nor a tag`);
    }
  }
  return found;
}

/** What of a range none of the others covers. */
function without(range: [bigint, bigint], others: readonly [bigint, bigint][]): [bigint, bigint][] {
  return others.reduce<[bigint, bigint][]>(
    (left, [first, last]) =>
      left.flatMap(([from, to]): [bigint, bigint][] => {
        if (last < from || first > to) return [[from, to]];
        return [...(from < first ? [[from, first - 1n] as [bigint, bigint]] : []), ...(to > last ? [[last + 1n, to] as [bigint, bigint]] : [])];
      }),
    [range],
  );
}
