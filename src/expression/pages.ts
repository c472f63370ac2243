/** Templates made of several files: `include`, `import`, `extends` and `block`. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Callable, type Value } from '../value/value.js';
import { Namespace } from './access.js';
import { Frame } from './frame.js';
import type { TemplateOptions } from './header.js';
import type { Scope } from './index.js';
import { iterate, read, str } from './python.js';
import type { Exec } from './statements.js';
import { Out } from './out.js';
import { fail, Undefined, type Result } from './undefined.js';

/** What is known of a compiled template that others may name. */
export interface Page {
  readonly file: string;
  /** How it is written, and with it what it includes. */
  readonly options: TemplateOptions;
  readonly body: Exec;
  readonly blocks: ReadonlyMap<string, Block>;
}

export interface Block {
  readonly run: Exec;
  /** A template further down must fill it. */
  readonly required: boolean;
}

/** How long a chain of `extends` may be. */
const MAX_PARENTS = 100;

/** One rendering of a template: what it extends, and its blocks. */
export class Rendering {
  /** Blocks by name, the one of the template furthest down first. */
  readonly blocks = new Map<string, Block[]>();
  /** Set by `extends`: from there on only definitions count. */
  parent: Page | undefined;
  /** @param page the template that is being gone through */
  constructor(
    readonly root: Frame,
    public page: Page,
  ) {}
}

/** Writes a template; of one that extends another the outermost, with its blocks filled. */
export function renderPage(page: Page, frame: Frame, out: Out): void {
  const rendering = (frame.rendering = new Rendering(frame, page));
  let parents = 0;
  for (let at: Page | undefined = page; at; at = rendering.parent) {
    if (parents++ > MAX_PARENTS) fail(`more than ${MAX_PARENTS} templates extend each other`, 'does one extend itself?');
    rendering.parent = undefined;
    rendering.page = at;
    for (const [name, block] of at.blocks) rendering.blocks.set(name, [...(rendering.blocks.get(name) ?? []), block]);
    if (rendering.blocks.size > 0) frame.vars.set('self', selfOf(rendering));
    at.body(frame, out);
  }
}

/** `self.name()` writes a block once more. */
function selfOf(rendering: Rendering): Value {
  return new Namespace([...rendering.blocks.keys()].map((name) => [name, new Callable(name, () => captured((out) => writeBlock(rendering, name, 0, rendering.root, out)))]));
}

/** @param index how far up the chain: 0 is the block itself, 1 what its `super()` gives */
export function writeBlock(rendering: Rendering, name: string, index: number, frame: Frame, out: Out): void {
  const block = rendering.blocks.get(name)?.[index] ?? fail(`there is no parent block called "${name}"`, 'super() stands in a block that another template has too');
  if (block.required) fail(`the block "${name}" is required`, 'fill it in the template that extends this one');
  const inner = frame.child();
  inner.vars.set('super', new Callable('super', () => captured((nested) => writeBlock(rendering, name, index + 1, frame, nested))));
  block.run(inner, out);
}

function captured(write: (out: Out) => void): Value {
  const out = new Out();
  write(out);
  return out.value() ?? '';
}

/** The first of these templates that is there. `templates/` is looked through first, then the folder of the template that names it. */
export function openPage(frame: Frame, given: Result): Page | undefined {
  if (given instanceof Undefined) given.raise();
  const { services } = frame.scope;
  services.outside?.();
  const names = Array.isArray(read(given as Value)) ? iterate(given as Value).map(str) : [str(given as Value)];
  for (const name of names) {
    const from = frame.rendering?.page;
    const beside = from && resolve(dirname(from.file), name);
    const path = services.find(name, 'templates') ?? (beside !== undefined && existsSync(beside) ? beside : undefined);
    if (path !== undefined) return services.template(path, from?.options).page;
  }
  return undefined;
}

/** As openPage. @throws Failure when there is none */
export function mustOpen(frame: Frame, given: Result): Page {
  return openPage(frame, given) ?? fail(`there is no template ${Array.isArray(given) ? `among ${given.map((one) => `"${str(one)}"`).join(', ')}` : `"${str(given as Value)}"`}`, 'put it into a templates/ folder of the role, the playbook or the project, or beside the template that names it');
}

export function include(page: Page, frame: Frame, withContext: boolean, out: Out): void {
  renderPage(page, withContext ? frame.child() : bare(frame), out);
}

/** The macros and variables that a template sets at its top, but for those whose names begin with `_`. */
export function importPage(page: Page, frame: Frame, withContext: boolean): Namespace {
  const inner = withContext ? frame.child() : bare(frame);
  renderPage(page, inner, new Out());
  return new Namespace([...inner.vars].filter(([name, value]) => !name.startsWith('_') && name !== 'self' && !(value instanceof Undefined)) as [Value, Value][]);
}

/** Without context a template sees no variables: those of Ansible are the context. */
function bare(frame: Frame): Frame {
  const scope: Scope = { get: () => undefined, names: () => [], services: frame.scope.services };
  const inner = new Frame(scope, frame.record);
  inner.rendering = frame.rendering;
  return inner;
}
