import type { Role } from '../playbook/types.js';
import type { Dict } from '../value/value.js';
import type { Layer, Level } from './layers.js';

/** The role and, outwards, those whose dependency it is. */
export function* ancestry(role: Role | undefined): Iterable<Role> {
  for (let each = role; each; each = each.parent) yield each;
}

/**
 * Variables of a role, strongest first: its own, then those of the roles around it and of the roles it depends on
 * (the last of these wins). For vars, dependencies win over what is around; for defaults, the other way.
 * @param reach `alone` leaves out what is around: as the role is seen from the rest of its play
 */
export function* roleLayers(role: Role, level: Level, varsOf: (role: Role) => Dict, reach: 'alone' | 'around' = 'around'): Iterable<Layer> {
  const around = reach === 'alone' ? [] : [...ancestry(role.parent)].map((parent) => ({ level, vars: varsOf(parent) }));
  yield { level, vars: varsOf(role) };
  if (level === 'role defaults') yield* around;
  for (const dependency of role.dependencies.toReversed()) yield* roleLayers(dependency, level, varsOf, 'alone');
  if (level !== 'role defaults') yield* around;
}
