import { z } from 'zod';
import { type Inventory, hostsOf } from '../inventory/index.js';
import { ContentError, didYouMean } from '../value/errors.js';
import type { Look } from './look.js';

/** `guards` of muster.yml: how much one run of `drift --fix` may bring back by itself. */
export const guardSettings = z.strictObject({
  /** Changes: tasks that would change something, each host for itself. */
  max_changes: z.int().min(0).optional(),
  max_hosts: z.int().min(0).optional(),
  /** Group -> how many of its hosts. */
  groups: z.record(z.string(), z.int().min(0)).optional(),
  /** Lists of groups: a run changes hosts of one of a list alone. */
  apart: z.array(z.array(z.string()).min(2)).optional(),
});
export type Guards = z.output<typeof guardSettings>;

/** Which guards a look goes beyond, for people; none where what it found may be brought back. */
export function breaches({ max_changes, max_hosts, groups = {}, apart = [] }: Guards, { changes, machines }: Look, inventory: Inventory): string[] {
  const found: string[] = [];
  const changed = (group: string): string[] => (inventory.groups.has(group) ? hostsOf(inventory, group).filter((host) => machines.has(host)) : []);
  if (max_changes !== undefined && changes > max_changes) found.push(`${changes} changes, and at most ${max_changes} may be made by themselves (max_changes)`);
  if (max_hosts !== undefined && machines.size > max_hosts) found.push(`${machines.size} hosts would change, and at most ${max_hosts} may (max_hosts): ${[...machines].join(', ')}`);
  for (const [group, most] of Object.entries(groups)) {
    const members = changed(group);
    if (members.length > most) found.push(`${members.length} hosts of ${group} would change, and at most ${most} may: ${members.join(', ')}`);
  }
  for (const list of apart) {
    const touched = list.filter((group) => changed(group).length > 0);
    if (touched.length > 1) found.push(`${touched.join(' and ')} would change in one run, and must not: ${touched.flatMap(changed).join(', ')}`);
  }
  return found;
}

/** @throws ContentError for a guard over a group that the inventory does not have: it would guard nothing */
export function checkGuards({ groups = {}, apart = [] }: Guards, inventory: Inventory): void {
  const known = [...inventory.groups.keys()];
  for (const group of [...Object.keys(groups), ...apart.flat()]) {
    if (known.includes(group)) continue;
    throw new ContentError(`the inventory has no group "${group}", which guards in muster.yml name`, undefined, didYouMean(group, known) ?? `known are ${known.join(', ')}`);
  }
}
