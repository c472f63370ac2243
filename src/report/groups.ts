import type { Event } from './events.js';

export type TaskEvent = Extract<Event, { event: 'task' }>;
export type ResultEvent = Extract<Event, { event: 'result' }>;
export type ItemEvent = Extract<Event, { event: 'item' }>;

/** One host's result of a task, with those of its loop's items. */
export interface Held {
  event: ResultEvent;
  items: ItemEvent[];
  /** What is said behind its title. */
  remark?: string;
}

/** Hosts whose results of a task read the same. */
export interface Group extends Held {
  hosts: string[];
}

/**
 * Puts results that read the same together, in the order of the first of each; hosts in the order of the play.
 * @param reading what a result is shown as: what looks different is never one
 */
export function group(results: readonly Held[], reading: (held: Held) => unknown, order: readonly string[]): Group[] {
  const groups = new Map<string, Group>();
  const rank = new Map(order.map((host, i) => [host, i]));
  const sorted = [...results].sort((a, b) => (rank.get(a.event.host) ?? order.length) - (rank.get(b.event.host) ?? order.length));
  for (const held of sorted) {
    const key = JSON.stringify([held.event.result.status, held.event.delegate, reading(held)]);
    const same = groups.get(key);
    if (same) same.hosts.push(held.event.host);
    else groups.set(key, { ...held, hosts: [held.event.host] });
  }
  return [...groups.values()];
}
