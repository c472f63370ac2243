import type { Record, Scope, Services } from '../../src/expression/index.js';
import { Templates } from '../../src/template/index.js';
import type { Dict, Value } from '../../src/value/value.js';

const services: Services = { find: () => undefined, baseDir: '.', render: () => '', template: (path, options) => new Templates().jinja(path, options), ahead: false };

/** A scope of plain values, which notes each variable read as if it were another host's. */
export function scopeOf(vars: Dict): Scope {
  return {
    get(name: string, record: Record): Value | undefined {
      if (vars.has(name)) record.hosts.add(name);
      return vars.get(name);
    },
    names: () => [...vars.keys()].map(String),
    services,
  };
}
