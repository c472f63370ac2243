import { seconds, short } from './case.js';

/** Runs of one contestant. */
export interface Times {
  median: number;
  min: number;
  max: number;
  all: number[];
}

/** Does its work once and says how many seconds that took, so that preparing does not count. */
export type Contestant = (round: number) => Promise<number>;

/**
 * Lets contestants take turns, so that whatever else the machine does meets all of them alike. One lap that does not
 * count warms files and caches up; then every second lap is run in the opposite order.
 */
export async function race<K extends string>(contestants: { [name in K]: Contestant }, rounds: number): Promise<{ [name in K]: Times }> {
  const names = Object.keys(contestants) as K[];
  const laps = Object.fromEntries(names.map((name) => [name, [] as number[]])) as { [name in K]: number[] };
  for (const name of names) await contestants[name](-1);
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) laps[name].push(await contestants[name](round));
  }
  return Object.fromEntries(names.map((name) => [name, times(laps[name])])) as { [name in K]: Times };
}

export function times(all: number[]): Times {
  return { median: median(all), min: Math.min(...all), max: Math.max(...all), all };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Seconds that work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** A row per contestant: median, range, and how many times the first one's median. */
export function table(results: { [name: string]: Times }): string[][] {
  const [first] = Object.values(results);
  return [
    ['', 'median', 'min – max', 'ratio', 'runs'],
    ...Object.entries(results).map(([name, { median, min, max, all }]) => [
      name,
      seconds(median),
      `${seconds(min)} – ${seconds(max)}`,
      short(median / first!.median),
      String(all.length),
    ]),
  ];
}
