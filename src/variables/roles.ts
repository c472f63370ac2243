import type { Role } from '../playbook/types.js';
import type { Layer } from './layers.js';

/** The role and, outwards, those whose dependency it is. */
export function* ancestry(role: Role | undefined): Iterable<Role> {
  for (let each = role; each; each = each.parent) yield each;
}

const known = new WeakMap<Role, Map<string, readonly Layer[]>>();

/**
 * Variables of a role that has any, strongest first: its own, then those of the roles around it and of the roles it depends
 * on (the last of these wins). For vars, dependencies win over what is around; for defaults, the other way. Worked out once:
 * a role does not change once it is loaded.
 * @param reach `alone` leaves out what is around: as the role is seen from the rest of its play
 */
export function roleLayers(role: Role, level: 'role vars' | 'role defaults', reach: 'alone' | 'around' = 'around'): readonly Layer[] {
  let layers = known.get(role);
  if (!layers) known.set(role, (layers = new Map()));
  const key = `${level} ${reach}`;
  let found = layers.get(key);
  if (!found) layers.set(key, (found = [...madeOf(role, level, reach)].filter(({ vars }) => vars.size > 0)));
  return found;
}

function* madeOf(role: Role, level: 'role vars' | 'role defaults', reach: 'alone' | 'around'): Iterable<Layer> {
  const own = ({ vars, defaults }: Role): Layer => ({ level, vars: level === 'role vars' ? vars : defaults });
  const around = reach === 'alone' ? [] : [...ancestry(role.parent)].map(own);
  yield own(role);
  if (level === 'role defaults') yield* around;
  for (const dependency of role.dependencies.toReversed()) yield* madeOf(dependency, level, 'alone');
  if (level !== 'role defaults') yield* around;
}
