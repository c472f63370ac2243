import type { Task } from './types.js';

/** What a handler of this name, or one that listens to it, can be notified by: of a role also with that in front, and with its collection. */
export function notifiedBy({ role }: Task, name: string): string[] {
  return [name, ...(role ? [`${role.name} : ${name}`, `${role.shortName} : ${name}`] : [])];
}
