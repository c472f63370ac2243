import type { Value } from '../value/value.js';
import { FILTERS } from './filters/index.js';
import type { Record, Scope } from './index.js';
import type { Rendering } from './pages.js';
import { invoke, named as entryNamed, type Env } from './registry.js';
import { tracked, untracked } from './secrecy.js';
import { TESTS } from './tests.js';
import type { Result } from './undefined.js';

/** What an evaluation runs in: the scope, what it reads, and the template's own variables. */
export class Frame implements Env {
  readonly vars = new Map<string, Result>();
  /** The rendering of a template that this is a part of. */
  rendering: Rendering | undefined;
  constructor(
    readonly scope: Scope,
    readonly record: Record,
    readonly parent?: Frame,
    /** Variables of the scope that the template may change in place: its own copies, for this evaluation alone. */
    private readonly copies: Map<string, Value> = parent?.copies ?? new Map(),
  ) {
    this.rendering = parent?.rendering;
  }

  child(): Frame {
    return new Frame(this.scope, this.record, this);
  }

  /** The template's own copy of a variable of the scope, the same one at each mention. */
  copyOf(name: string, value: Value): Value {
    if (!this.copies.has(name)) this.copies.set(name, copied(value));
    return this.copies.get(name)!;
  }

  /** A variable the template set itself; undefined where it did not. */
  local(name: string): Result | undefined {
    for (let frame: Frame | undefined = this; frame; frame = frame.parent) {
      const value = frame.vars.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  filter(name: string, args: Result[], named: Map<string, Value>): Result {
    const entry = entryNamed('filter', name, FILTERS);
    return tracked(() => invoke(entry, 'filter', this, args, named));
  }

  test(name: string, args: Result[], named: Map<string, Value>): boolean {
    const entry = entryNamed('test', name, TESTS);
    return untracked(() => invoke(entry, 'test', this, args, named));
  }
}

/** Lists and dicts anew; what evaluates lazily stays. */
function copied(value: Value): Value {
  if (Array.isArray(value)) return Object.getPrototypeOf(value) === Array.prototype ? value.map(copied) : value;
  if (value instanceof Map && Object.getPrototypeOf(value) === Map.prototype) return new Map([...value].map(([key, member]) => [key, copied(member)]));
  return value;
}
