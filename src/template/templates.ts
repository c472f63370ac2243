import { existsSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { compileJinja, Record, type Scope } from '../expression/index.js';
import { ContentError, discreetly } from '../value/errors.js';
import { readText } from '../vault/index.js';
import type { Origin } from '../value/value.js';
import { Template } from './compile.js';
import type { Rendered } from '../value/value.js';

/** What a template is once compiled, in either language. */
interface Renderer {
  render(scope: Scope, record: Record): Rendered;
}

/** The templates of a run: each file is compiled once, and again when it has changed on disk. */
export class Templates {
  readonly #compiled = new Map<string, { stamp: string; renderer: Renderer }>();
  readonly #compiling = new Set<string>();

  /**
   * Renders a `.hbs` file as Handlebars, a `.j2` file as Jinja.
   * @param record is told what was read, and whether that was secret
   * @throws ContentError, UndefinedError with the template's file, line and column
   */
  render(path: string, scope: Scope, record = new Record()): Rendered {
    const rendered = this.#open(path).render(scope, record);
    if (rendered.secrets.length > 0) record.secret = true;
    return rendered;
  }

  /** Compiles a template and its partials without rendering: finds what is wrong whatever the values. @throws ContentError */
  check(path: string): void {
    this.#open(path);
  }

  #open(path: string): Renderer {
    const { mtimeMs, size } = statSync(path);
    const stamp = `${mtimeMs} ${size}`;
    const known = this.#compiled.get(path);
    if (known?.stamp === stamp) return known.renderer;
    this.#compiling.add(path);
    try {
      const renderer = this.#compile(path);
      this.#compiled.set(path, { stamp, renderer });
      return renderer;
    } finally {
      this.#compiling.delete(path);
    }
  }

  #compile(path: string): Renderer {
    const extension = extname(path);
    if (extension === '.hbs' || extension === '.j2') {
      const { text, isSecret } = readText(path);
      return discreetly(isSecret, () => (extension === '.j2' ? compileJinja(text, path, isSecret) : new Template(text, path, (name, origin) => this.#partial(path, name, origin), isSecret)));
    }
    throw new ContentError(`"${path}" is no template`, undefined, 'a template is named .hbs (Handlebars) or .j2 (Jinja); copy takes any file as it is');
  }

  /** Partials stand in the folder of the template that names them. They are checked with it, but opened anew to render: they may include each other. */
  #partial(from: string, name: string, origin: Origin): () => Template {
    const path = join(dirname(from), `${name}.hbs`);
    if (!existsSync(path)) throw new ContentError(`there is no partial "${name}"`, origin, `looked for ${path}`);
    if (!this.#compiling.has(path)) this.#open(path);
    return () => this.#open(path) as Template;
  }
}

/** Compiles one template, for static checks. @throws ContentError */
export function checkTemplate(path: string): void {
  new Templates().check(path);
}
