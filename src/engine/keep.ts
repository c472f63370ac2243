import type { Inspection } from '../connection/connection.js';
import type { KeptBack, KeptUndo, Reached, UndoStore } from '../journal/index.js';
import { loadModule, parseArgs } from '../modules/index.js';
import { ModuleError, type Back, type Change, type Controller, type Declarative, type Output, type Step } from '../modules/module.js';
import { join, raw, sh } from '../shell/sh.js';
import { trimmedEnd } from '../value/text.js';
import type { Plain } from '../value/value.js';
import { ContentError } from '../value/errors.js';
import type { Way } from './machine.js';

/** Longer files are not kept: their content would travel with every change. */
const LIMIT = 1024 * 1024;

/** Old contents, and which folders are there, told ahead of the effect in lines of their own: a record separator, then base64. */
const TELL = raw(`muster_old() {
  if [ -f "$1" ] && [ "$(wc -c <"$1")" -le ${LIMIT} ]; then printf '\\036kept '; base64 <"$1" | tr -d '\\n'; echo
  else printf '\\036none\\n'; fi
}
muster_above() {
  d=$1
  while d=\${d%/*}; [ "$d" ] && [ ! -e "$d" ]; do :; done
  printf '\\036kept '; printf %s "\${d:-/}" | base64 | tr -d '\\n'; echo
}`);

/** What is kept of one effect, from before it is made until after. */
export interface Keeping {
  /** The step, behind what tells of the old state. */
  around(step: Step): Step;
  /** Asked behind the effect, in its own trip: what the tasks that lead back find now they must find then. */
  looks: Inspection[];
  /**
   * Keeps it.
   * @returns the effect's own output, and old contents by the order of what leads back
   */
  took(output: Output, answers: readonly Output[]): Promise<{ output: Output; old: (Buffer | undefined)[] }>;
}

export interface Keeper {
  store: UndoStore;
  /** Of the effect that was announced last. */
  effect: () => number;
  reached: Reached;
  way: Way;
  controller: Controller;
}

/** Works out what leads back from changes that are about to be made. Whatever goes wrong with it is told in what is kept, and nothing else. */
export async function keeping(keeper: Keeper, module: Declarative<any, any, any>, wanted: unknown, observed: unknown, changes: Change[]): Promise<Keeping> {
  const { way, store } = keeper;
  const cannot: string[] = [];
  const back: Back[] = [];
  try {
    if (!module.undo) cannot.push(`${module.name} has no way back`);
    for (const each of module.undo?.(wanted, observed, changes) ?? []) {
      if ('cannot' in each) cannot.push(each.cannot);
      else back.push(each);
    }
  } catch (error) {
    cannot.push(reason(error));
  }
  // What is asked hangs on no content: that comes in the same trip.
  const placeholder = back.some(({ old }) => old) ? store.opened(Buffer.alloc(0)) : '';
  const asked = await Promise.all(
    back.map(async (each) => {
      if (each.again || each.behind) return undefined;
      try {
        const leading = (await loadModule(each.module)) as Declarative<any, any, any>;
        const asks = await prepared(leading, each, placeholder, keeper.controller);
        return { leading, look: { script: leading.inspect(asks), become: way.become, environment: way.environment } };
      } catch {
        return undefined;
      }
    }),
  );
  const told = back.flatMap(({ old, above }) => [...(old ? [sh`muster_old ${old}`] : []), ...(above ? [sh`muster_above ${above}`] : [])]);
  return {
    around: (step) => (told.length === 0 ? step : { ...step, script: join([TELL, sh`( ${join(told)}\n) 2>/dev/null`, step.script]) }),
    looks: asked.flatMap((each) => each?.look ?? []),
    async took(output, answers) {
      const lines = new Lines(output.stdout);
      const kept: KeptBack[] = [];
      const contents: (Buffer | undefined)[] = [];
      let answer = 0;
      for (const [i, { module: name, args, old, above, again }] of back.entries()) {
        const content = old && lines.take();
        const top = above && lines.take()?.toString();
        const found = asked[i] && answers[answer++];
        contents.push(content);
        if (old && !content) {
          cannot.push(`the old content of ${String(args['dest'])} was not kept: it is longer than ${LIMIT / 1024 / 1024} MiB, or could not be read`);
          continue;
        }
        const one: KeptBack = { module: name, args, ...(again ? { again } : {}), ...(content ? { old: store.keepContent(content) } : {}) };
        if (found) {
          const file = content ? store.opened(content) : '';
          const expected = await expectation(asked[i]!.leading, back[i]!, file, found, keeper.controller);
          if (content) store.close(file);
          if (typeof expected === 'string') {
            cannot.push(expected);
            continue;
          }
          if (expected.length === 0) continue;
          one.expected = expected;
        }
        kept.push(one, ...(top === undefined ? [] : foldersBetween(String(args['path']), top)));
      }
      if (placeholder !== '') store.close(placeholder);
      const undo: KeptUndo = { effect: keeper.effect(), way: keeper.reached, back: kept, cannot };
      store.keep(undo);
      return { output: { ...output, stdout: lines.rest }, old: contents };
    },
  };
}

/** The lines ahead of an effect's own output. */
class Lines {
  constructor(public rest: string) {}

  take(): Buffer | undefined {
    const end = this.rest.indexOf('\n');
    const line = this.rest.slice(0, end);
    if (end < 0 || !/^\x1e(kept |none$)/.test(line.slice(0, 6))) return undefined;
    this.rest = this.rest.slice(end + 1);
    return line.startsWith('\x1ekept ') ? Buffer.from(line.slice(6), 'base64') : undefined;
  }
}

function prepared(module: Declarative<any, any, any>, { args, old }: Back, content: string, controller: Controller): Promise<unknown> {
  const parsed: unknown = parseArgs(module, { ...args, ...(old ? { src: content } : {}) } as { [key: string]: Plain });
  return Promise.resolve(module.prepare ? module.prepare(parsed, { ...controller, find: async (name) => name }) : parsed);
}

/** What leading back would change right after the effect; why that cannot be told otherwise. */
async function expectation(module: Declarative<any, any, any>, back: Back, content: string, answer: Output, controller: Controller): Promise<NonNullable<KeptBack['expected']> | string> {
  try {
    let wanted = await prepared(module, back, content, controller);
    const found = module.parse(answer, wanted);
    if (module.refine) wanted = await module.refine(wanted, found);
    return module.compare(wanted, found).map(({ field, from, to }) => ({ field, from: from ?? null, to: to ?? null }));
  } catch (error) {
    return `what the change left cannot be told: ${reason(error)}`;
  }
}

/** The folders from the one a path stands in up to, but without, the one that was there. */
function foldersBetween(path: string, top: string): KeptBack[] {
  const folders: KeptBack[] = [];
  const above = (inner: string) => trimmedEnd(inner.slice(0, Math.max(0, inner.lastIndexOf('/'))), '/');
  for (let at = above(trimmedEnd(path, '/')); at.length > top.length && at.startsWith(top); at = above(at)) folders.push({ module: 'file', args: { path: at, state: 'absent', only: 'empty' } });
  return folders;
}

function reason(error: unknown): string {
  if (error instanceof ModuleError || error instanceof ContentError || error instanceof RangeError) return error.message;
  throw error;
}
