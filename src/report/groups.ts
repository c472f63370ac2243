import type { Event, TaskResult } from './events.js';

export type TaskEvent = Extract<Event, { event: 'task' }>;
export type ResultEvent = Extract<Event, { event: 'result' }>;
export type ItemEvent = Extract<Event, { event: 'item' }>;

/** One host's result of a task, with those of its loop's items. */
export interface Held {
  event: ResultEvent;
  items: ItemEvent[];
}

/** Hosts whose results of a task read the same. */
export interface Group extends Held {
  hosts: string[];
}

/** Puts results that read the same together, in the order of the first of each. */
export function group(results: readonly Held[]): Group[] {
  const groups = new Map<string, Group>();
  for (const held of results) {
    const key = JSON.stringify([reading(held.event.result), held.event.delegate, held.items.map((item) => [item.label, reading(item.result)])]);
    const same = groups.get(key);
    if (same) same.hosts.push(held.event.host);
    else groups.set(key, { ...held, hosts: [held.event.host] });
  }
  return [...groups.values()];
}

function reading({ status, message, changes, error, data }: TaskResult): unknown {
  return [status, message, changes, error, data['msg']];
}
