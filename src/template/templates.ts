import { existsSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { compileJinja, Record, type Scope, type Template as Jinja, type TemplateOptions } from '../expression/index.js';
import { ContentError, discreetly } from '../value/errors.js';
import { readText } from '../vault/index.js';
import { Secret, type Origin, type Value } from '../value/value.js';
import { Template } from './compile.js';
import type { Rendered } from '../value/value.js';

/** What a template is once compiled, in either language. */
interface Renderer {
  render(scope: Scope, record: Record): Rendered;
}

/** Templates: each file is compiled once for each way it is written, and again when it has changed on disk. */
export class Templates {
  readonly #compiled = new Map<string, { stamp: string; renderer: Renderer }>();
  readonly #compiling = new Set<string>();

  /**
   * Renders a `.hbs` file as Handlebars, any other as Jinja.
   * @param record is told what was read, and whether that was secret
   * @param options how a Jinja template is written
   * @throws ContentError, UndefinedError with the template's file, line and column
   */
  render(path: string, scope: Scope, record = new Record(), options?: TemplateOptions): Rendered {
    const rendered = this.#open(path, options).render(scope, record);
    if (rendered.secrets.length > 0) record.secret = true;
    return rendered;
  }

  /** What a template gives: one that is a single expression keeps its type. @throws as render */
  value(path: string, scope: Scope, record: Record, options?: TemplateOptions): Value {
    const renderer = this.#open(path, options);
    if (renderer instanceof Template) {
      const { text, secrets } = this.render(path, scope, record, options);
      return secrets.length > 0 ? new Secret(text) : text;
    }
    return (renderer as Jinja).evaluate(scope, record) ?? '';
  }

  /** Compiles a template and its partials without rendering: finds what is wrong whatever the values. @throws ContentError */
  check(path: string, options?: TemplateOptions): Pick<Jinja, 'remarks'> {
    return { remarks: (this.#open(path, options) as Partial<Jinja>).remarks ?? [] };
  }

  /** A Jinja template that others include, import or extend. @throws ContentError */
  jinja(path: string, options?: TemplateOptions): Jinja {
    if (extname(path) === '.hbs') throw new ContentError(`"${path}" is Handlebars`, undefined, 'a Jinja template takes in only Jinja templates');
    return this.#open(path, options) as Jinja;
  }

  #open(path: string, options: TemplateOptions = {}): Renderer {
    const { mtimeMs, size } = statSync(path);
    const stamp = `${mtimeMs} ${size}`;
    const key = JSON.stringify([path, options]);
    const known = this.#compiled.get(key);
    if (known?.stamp === stamp) return known.renderer;
    this.#compiling.add(path);
    try {
      const renderer = this.#compile(path, options);
      this.#compiled.set(key, { stamp, renderer });
      return renderer;
    } finally {
      this.#compiling.delete(path);
    }
  }

  #compile(path: string, options: TemplateOptions): Renderer {
    const { text, isSecret } = readText(path);
    return discreetly(isSecret, () => (extname(path) === '.hbs' ? new Template(text, path, (name, origin) => this.#partial(path, name, origin), isSecret) : compileJinja(text, path, isSecret, options)));
  }

  /** Partials stand in the folder of the template that names them. They are checked with it, but opened anew to render: they may include each other. */
  #partial(from: string, name: string, origin: Origin): () => Template {
    const path = join(dirname(from), `${name}.hbs`);
    if (!existsSync(path)) throw new ContentError(`there is no partial "${name}"`, origin, `looked for ${path}`);
    if (!this.#compiling.has(path)) this.#open(path);
    return () => this.#open(path) as Template;
  }
}

/** Those of the process: what checks compile is there when a run renders it, under the same path. */
export const templates = new Templates();
