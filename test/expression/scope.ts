import { readFileSync } from 'node:fs';
import { compileJinja, compileText, Record, type Scope, type Services } from '../../src/expression/index.js';
import { Source, type Value } from '../../src/value/value.js';

/** A scope of fixed variables; `find` knows files by their absolute path. */
export function scopeOf(vars: { [name: string]: Value } = {}, services: Partial<Services> = {}): Scope {
  return {
    get: (name) => (Object.hasOwn(vars, name) ? vars[name] : undefined),
    names: () => Object.keys(vars),
    services: { find: (name) => (name.startsWith('/no') ? undefined : name), baseDir: process.cwd(), render: (path) => `rendered ${path}`, template: (path, options) => compileJinja(readFileSync(path, 'utf8'), path, false, options), ahead: false, ...services },
  };
}

export function sourceOf(text: string, line = 3, column = 7): Source {
  return new Source(text, { file: 'site.yml', line, column });
}

/** The value of a text of the YAML. */
export function evaluate(text: string, vars: { [name: string]: Value } = {}, services: Partial<Services> = {}, record = new Record()): Value {
  return compileText(sourceOf(text)).evaluate(scopeOf(vars, services), record);
}
