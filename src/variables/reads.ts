import { Float, Unknown, type Dict, type Value } from '../value/value.js';
import { LazyDict } from './lazy.js';

/** Variables as they stand: what a name leads to before it is evaluated. */
interface View {
  raw(name: string): Value | undefined;
}

/**
 * What evaluations read: which names, and what they led to. While each still leads to the same, the same would come of
 * evaluating again. Whatever is not known to be the same is not.
 */
export class Reads {
  readonly #views = new Map<string, Map<string, Value | undefined>>();
  /** All variables were read, or one that came out differently at two times. */
  #isVague = false;
  /**
   * In earnest it must be evaluated again: something was read that is no variable and may change while a run goes on (a file
   * of the controller, say), or there is something to be said.
   */
  onlyAhead = false;
  /** Names that are not looked for in the variables, but given by whoever evaluates. */
  given: ReadonlyMap<Value, Value> | undefined;

  /** @param view whose variables, and as seen by whom */
  note(view: string, name: string, raw: Value | undefined): void {
    if (this.given?.has(name)) return;
    let names = this.#views.get(view);
    if (!names) this.#views.set(view, (names = new Map()));
    if (!names.has(name)) names.set(name, raw);
    else if (!isSame(names.get(name), raw)) this.#isVague = true;
  }

  noteAll(): void {
    this.#isVague = true;
  }

  /** Whether all that was read is still the same. @param view the variables as they stand now, under the name they were read by */
  hold(view: (name: string) => View): boolean {
    if (this.#isVague) return false;
    for (const [name, names] of this.#views) {
      const now = view(name);
      for (const [variable, raw] of names) if (!isSame(now.raw(variable), raw)) return false;
    }
    return true;
  }
}

/** Nothing is evaluated here: of what evaluates its members when they are read, it must be the same that they are made from. */
function isSame(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof LazyDict || b instanceof LazyDict) return a instanceof LazyDict && b instanceof LazyDict && a.members === b.members;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && isEvaluated(a) && isEvaluated(b) && a.every((member, i) => isSame(member, b[i]));
  // In the same order too: it is seen in what is made of a dict.
  if (a instanceof Map) return b instanceof Map && a.size === b.size && haveSameEntries(a, b);
  if (a instanceof Float) return b instanceof Float && a.value === b.value;
  return a instanceof Unknown && b instanceof Unknown && a.why === b.why;
}

function haveSameEntries(a: Dict, b: Dict): boolean {
  const others = b.entries();
  for (const [key, value] of a) {
    const [other, its] = others.next().value!;
    if (!isSame(key, other) || !isSame(value, its)) return false;
  }
  return true;
}

/** Whether reading the list's members evaluates none. */
function isEvaluated(list: readonly Value[]): boolean {
  return [...list.keys()].every((i) => !Object.getOwnPropertyDescriptor(list, i)!.get);
}
