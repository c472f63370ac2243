import type { Output } from '../shell/step.js';
import { loadModule } from '../modules/index.js';
import type { Declarative, Imperative } from '../modules/module.js';
import type { Entry } from '../playbook/types.js';
import { ContentError, NotAheadError, UndefinedError } from '../value/errors.js';
import type { Value } from '../value/value.js';
import { factName, Reads } from '../variables/index.js';
import { isAction } from './actions/index.js';
import { holds } from './evaluate.js';
import type { HostRun } from './host.js';
import { waitingQuestion } from './confirm.js';
import { callOf, factsOf, scopeFor, withModule, type Call, type Frame } from './call.js';
import { foreseeing, type Foreseen, type Leaves } from './foreseen.js';
import { evaluated, moduleJob } from './job.js';
import { isInclude, loadedInclude } from './includes.js';
import { loopItems, loopVariables } from './loop.js';
import type { Ahead, AheadQuestion } from './machine.js';
import { outcome } from './outcome.js';
import { inspectionOf } from './perform.js';
import type { PlayRun } from './play.js';
import type { Run } from './run.js';
import { AHEAD, type Speculated } from './scope.js';
import { isSelected } from './select.js';

/** Characters of script one trip may carry beside what it must. */
const MOST_TEXT = 2_000_000;

/**
 * The inspections of what comes after a call on its host, as far as they can be rendered already.
 *
 * Nothing here has to be right: a question is only asked early. When its task's turn comes the question is made
 * again (of what `foreseen` holds to be still so), and the answer counts only if it came out the same and nothing has changed
 * the machine since. So whatever cannot be worked out (a result not known yet, a lookup with an effect) is simply left out.
 */
export function aheadOf(call: Call): Ahead {
  return async () => {
    const { run, host, task } = call;
    if (run.options.oneAtATime || run.stopping) return [];
    const asked = await questions(run, host, behind(call), call.frame.play);
    // Handlers come behind all tasks.
    return asked ?? (task.notify.length > 0 || host.notified.size > 0 ? [] : undefined);
  };
}

/**
 * Looks at what comes after a frame's entry on a host before its turn, while other hosts are busy: trip after trip,
 * each rendered with what the one before found, until there is nothing new to ask.
 */
export async function prefetch(run: Run, host: HostRun, frame: Frame): Promise<void> {
  if (run.options.oneAtATime) return;
  for (let depth = 0; depth < 5 && !run.stopping; depth++) {
    const [first, ...rest] = (await questions(run, host, after(run, host, frame), frame.play)) ?? [];
    if (!first) return;
    await first.machine.ask(first.way, first.inspection, () => Promise.resolve(rest));
  }
}

/** Undefined where there are no calls. */
async function questions(run: Run, host: HostRun, calls: AsyncIterable<Call | AheadQuestion>, play: PlayRun): Promise<AheadQuestion[] | undefined> {
  const asked: AheadQuestion[] = run.pending.questions(play, host);
  // Before they are gathered, facts are taken to be what they were in the last run.
  const speculated: Speculated = { extra: new Map(), facts: run.variables.facts(host.name).size === 0 ? run.factCache.of(host.name) : undefined };
  let text = 0;
  let isLast = true;
  for await (const next of calls) {
    isLast = false;
    if (asked.length >= host.window || text >= MOST_TEXT) break;
    // What cannot be told yet is asked when its turn comes, and any mistake in it is told then.
    const question = 'inspection' in next ? next : await questionOf(next, speculated).catch(() => undefined);
    if (!question || question.machine.known(question.way, question.inspection)) continue;
    asked.push(question);
    text += question.inspection.script.key.length;
  }
  return isLast && asked.length === 0 ? undefined : asked;
}

/** What a call would ask its machine; undefined where it asks nothing, or cannot be told yet. What it leaves is carried on. */
async function questionOf(call: Call, speculated: Speculated): Promise<AheadQuestion | undefined> {
  const { foresight } = call.run;
  const { action, until, retries } = call.task;
  if ((isAction(action) && action !== 'set_fact') || until.length || retries !== undefined) return undefined;
  let it = foresight.of(call, speculated);
  if (!it) {
    it = foreseeing(call);
    try {
      await foresee(call, { ...speculated, reads: it.reads }, it);
      foresight.keep(call, it);
    } catch (error) {
      // Nothing but other variables would make it come out differently.
      if (error instanceof UndefinedError || error instanceof NotAheadError) foresight.keep(call, it);
      throw error;
    }
  }
  const { question, asks } = it;
  const known = asks && question && question.machine.known(question.way, question.inspection);
  if (known && it.answer !== known) [it.answer, it.leaves] = [known, await left(call, asks, known).catch(() => undefined)];
  if (!asks || known) carryOn(call, it.leaves, speculated);
  return question;
}

/** Works out what a call would ask, or, of a `set_fact`, what it sets. */
async function foresee(given: Call, ahead: Speculated, it: Foreseen): Promise<void> {
  if (!holds(given.task.when, scopeFor(given, { ahead }))) return;
  const call = await withModule(given, ahead);
  const { task } = call;
  if (isAction(task.action) && task.action !== 'set_fact') return;
  if (task.action === 'set_fact') {
    it.leaves = { variables: factsOf(call, ahead) };
    return;
  }
  const module = await loadModule(task.action);
  if (module.kind === 'conversation' || (module.kind === 'imperative' && !module.guard)) return;
  const known = evaluated(call, module, ahead);
  const { args, controller, machine, way } = await moduleJob(call, ahead, () => Promise.resolve([]), undefined, known);
  const prepared = module.prepare ? await module.prepare(args, controller) : args;
  const script = module.kind === 'declarative' ? (module as Declarative<any, any, any>).inspect(prepared) : (module as Imperative<any, any>).guard?.(prepared);
  if (!script) return;
  it.evaluated = known;
  it.question = { machine, way, inspection: inspectionOf(way, script) };
  const leaves = (task.register !== undefined && !task.loop) || 'ansible_facts' in module.returns;
  if (module.kind === 'declarative' && leaves) it.asks = { module, prepared };
}

/** What a task will leave, if what is known of the machine means that it changes nothing. */
async function left({ task }: Call, asks: NonNullable<Foreseen['asks']>, known: Output): Promise<Leaves | undefined> {
  const module = asks.module as Declarative<any, any, any>;
  const observed = module.parse(known, asks.prepared);
  const wanted = module.refine ? await module.refine(asks.prepared, observed) : asks.prepared;
  if (module.compare(wanted, observed).length > 0) return undefined;
  const { data } = outcome({ ...module.result(wanted, observed), changed: false });
  const facts = data.get('ansible_facts');
  return {
    ...(facts instanceof Map && !task.delegateTo ? { facts: new Map([...facts].map(([name, value]) => [factName(String(name)), value])) } : {}),
    ...(task.register !== undefined && !task.loop ? { variables: new Map<Value, Value>([[task.register, data]]) } : {}),
  };
}

function carryOn(call: Call, leaves: Leaves | undefined, speculated: Speculated): void {
  if (leaves?.facts) speculated.facts = new Map([...(speculated.facts ?? call.run.variables.facts(call.host.name)), ...leaves.facts]);
  for (const [name, value] of leaves?.variables ?? []) speculated.extra.set(name, value);
}

/** The calls behind a call on its host, in the order they would come if nothing failed: its further items, then its further tasks. */
async function* behind(call: Call): AsyncGenerator<Call | AheadQuestion> {
  if (call.task.loop && call.loop) yield* items(call, call.index + 1);
  yield* after(call.run, call.host, call.frame);
}

/** Everything that comes after a frame's present entry, through its parents and the later plays. */
async function* after(run: Run, host: HostRun, frame: Frame): AsyncGenerator<Call | AheadQuestion> {
  for (let at: Frame | undefined = frame; at; at = at.parent) {
    for (let i = at.index + 1; i < at.entries.length; i++) yield* within(run, host, at, at.entries[i]!);
    if (at.parent) continue;
    for (const next of run.playsAfter(at.play, host.name)) {
      const beyond: Frame = { entries: next.entries, index: -1, play: next, includes: [], parent: undefined };
      for (const entry of next.entries) yield* within(run, host, beyond, entry);
    }
  }
}

async function* within(run: Run, host: HostRun, frame: Frame, entry: Entry): AsyncGenerator<Call | AheadQuestion> {
  if (entry.kind === 'block') {
    const question = entry.confirm && !frame.confirm && !run.options.check ? waitingQuestion(run, frame, entry, host, AHEAD) : undefined;
    if (question) yield question;
    for (const inner of [...entry.block, ...entry.always]) yield* within(run, host, frame, inner);
    return;
  }
  // `--start-at-task` is still searching: nothing can be said about what will run.
  if (run.startAt !== undefined) return;
  const call = callOf(run, frame, entry, host);
  if (!isSelectedAhead(call)) return;
  if (isInclude(entry)) {
    const loaded = await loadedInclude(call);
    if (loaded) for (const inner of loaded.entries) yield* within(run, host, loaded.frame, inner);
  } else if (entry.loop) yield* items(call, 0);
  else yield call;
}

/** Tags that hang on what is not known yet may name the task or not. */
function isSelectedAhead(call: Call): boolean {
  try {
    return isSelected(call.run, call.task, () => scopeFor(call, { ahead: AHEAD }));
  } catch (error) {
    if (error instanceof ContentError) return false;
    throw error;
  }
}

async function* items(call: Call, from: number): AsyncGenerator<Call> {
  const itemReads = new Reads();
  const scope = scopeFor(call, { ahead: { ...AHEAD, reads: itemReads } });
  let all: Value[];
  const round = (index: number): Call => ({ ...call, loop: loopVariables(call.task, all, index, scope), index, itemReads });
  try {
    all = loopItems(call.task, scope);
    if (from < all.length) round(from);
  } catch {
    return;
  }
  for (let index = from; index < all.length; index++) yield round(index);
}
