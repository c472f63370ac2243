/**
 * Names a set of hosts shortly: runs of numbers become ranges as an inventory writes them, `web[1-3], db1`.
 * Two neighbours are named in full, since `web1, web2` is easier to read than a range.
 */
export function compressHosts(names: readonly string[]): string {
  const families = new Map<string, { prefix: string; suffix: string; numbers: string[] } | string>();
  for (const name of names) {
    const match = /^(.*?)(\d+)(\D*)$/.exec(name);
    // Leading zeros count: web01 and web1 are different hosts, and a range keeps one width. Dotted addresses stay whole.
    if (!match || /^[\d.:]+$/.test(name)) {
      families.set(`=${name}`, name);
      continue;
    }
    const [, prefix, digits, suffix] = match as unknown as [string, string, string, string];
    const width = digits.startsWith('0') ? String(digits.length) : '';
    const key = `#${prefix}\0${suffix}\0${width}`;
    const family = families.get(key);
    if (typeof family === 'object') family.numbers.push(digits);
    else families.set(key, { prefix, suffix, numbers: [digits] });
  }
  const parts: string[] = [];
  for (const family of families.values()) {
    if (typeof family === 'string') parts.push(family);
    else
      for (const [first, last] of runs(family.numbers)) {
        if (first === last) parts.push(`${family.prefix}${first}${family.suffix}`);
        else if (BigInt(last) === BigInt(first) + 1n) parts.push(`${family.prefix}${first}${family.suffix}`, `${family.prefix}${last}${family.suffix}`);
        else parts.push(`${family.prefix}[${first}-${last}]${family.suffix}`);
      }
  }
  return parts.join(', ');
}

/** Sorted digits -> [first, last] of each run of consecutive numbers. */
function runs(numbers: string[]): [string, string][] {
  const sorted = [...new Set(numbers)].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
  const found: [string, string][] = [];
  for (const number of sorted) {
    const last = found.at(-1);
    if (last && BigInt(number) === BigInt(last[1]) + 1n) last[1] = number;
    else found.push([number, number]);
  }
  return found;
}
