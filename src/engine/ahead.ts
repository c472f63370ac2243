import type { Declarative, Imperative } from '../modules/module.js';
import type { Entry } from '../playbook/types.js';
import type { Dict, Value } from '../value/value.js';
import { isAction } from './actions/index.js';
import { holds } from './evaluate.js';
import { argumentsOf, moduleJob } from './job.js';
import { isInclude, loadedInclude } from './includes.js';
import { loopItems, loopVariables } from './loop.js';
import type { Ahead, AheadQuestion } from './machine.js';
import { inspectionOf } from './perform.js';
import { scopeOf } from './scope.js';
import type { Call } from './task.js';
import { includesOf, isSelected, type Frame } from './walk.js';

/** Bounds on what one trip carries beside what it must: questions, and characters of script. */
const MOST_QUESTIONS = 400;
const MOST_TEXT = 2_000_000;

/**
 * The inspections of what comes after a call on its host, as far as they can be rendered already.
 *
 * Nothing here has to be right: a question is only asked early. When its task's turn comes the task is
 * rendered again, and the answer counts only if the question came out the same and nothing has changed the
 * machine since. So whatever cannot be worked out (a result not known yet, a lookup with an effect) is simply left out.
 */
export function aheadOf(call: Call): Ahead {
  return async () => {
    const { run, host } = call;
    const questions: AheadQuestion[] = [];
    if (run.options.oneAtATime || run.stopping) return questions;
    const window = Math.min(host.window, MOST_QUESTIONS);
    // While nothing changes, each trip may look further.
    host.window *= 8;
    let text = 0;
    const speculated: Dict = new Map();
    for await (const next of behind(call)) {
      if (questions.length >= window || text >= MOST_TEXT) break;
      try {
        if (next.task.action === 'set_fact') {
          const { args } = argumentsOf(next, true, speculated);
          if (holds(next.task.when, scopeOf(run, { ...whereAhead(next), extra: speculated }))) for (const [name, value] of args) speculated.set(name, value);
          continue;
        }
        const question = await questionOf(next, speculated);
        if (!question) continue;
        questions.push(question);
        text += question.inspection.script.text.length;
      } catch {
        // Not yet: it is asked when its turn comes, and any mistake in it is told then.
      }
    }
    return questions;
  };
}

function whereAhead(call: Call) {
  const { frame, task, host, loop } = call;
  return { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: true, ...(loop ? { loop } : {}) };
}

async function questionOf(call: Call, speculated: Dict): Promise<AheadQuestion | undefined> {
  const { task, run } = call;
  if (isAction(task.action) || task.until.length || task.retries !== undefined) return undefined;
  if (!holds(task.when, scopeOf(run, { ...whereAhead(call), extra: speculated }))) return undefined;
  const job = await moduleJob(call, true, async () => [], speculated);
  if (job.module.kind === 'conversation') return undefined;
  const wanted = job.module.prepare ? await job.module.prepare(job.args, job.controller) : job.args;
  const script =
    job.module.kind === 'declarative' ? (job.module as Declarative<any, any, any>).inspect(wanted) : (job.module as Imperative<any, any>).guard?.(wanted);
  return script && { way: job.way, inspection: inspectionOf(job.way, script) };
}

/** The calls behind a call on its host, in the order they would come if nothing failed: its further items, then its further tasks. */
async function* behind(call: Call): AsyncGenerator<Call> {
  const { frame, task } = call;
  if (task.loop && call.loop) yield* items(call, call.index + 1);
  yield* after(call, frame);
}

async function* after(call: Call, frame: Frame): AsyncGenerator<Call> {
  for (let at: Frame | undefined = frame; at; at = at.parent) {
    for (let i = at.index + 1; i < at.entries.length; i++) yield* within(call, at, at.entries[i]!);
    // What comes after the play: the next plays this host is in.
    if (!at.parent) for (const next of call.run.playsAfter(at.play, call.host.name)) {
      await next.loadVarsFiles(call.host.name);
      const beyond: Frame = { entries: next.entries, index: -1, play: next, includes: [], parent: undefined };
      for (const entry of next.entries) yield* within(call, beyond, entry);
    }
  }
}

async function* within(call: Call, frame: Frame, entry: Entry): AsyncGenerator<Call> {
  if (entry.kind === 'block') {
    for (const inner of [...entry.block, ...entry.always]) yield* within(call, frame, inner);
    return;
  }
  // `--start-at-task` is still searching: nothing can be said about what will run.
  if (call.run.startAt !== undefined || !isSelected(call.run, entry)) return;
  const next: Call = { run: call.run, frame, task: entry, host: call.host, loop: undefined, index: 0 };
  if (isInclude(entry)) {
    const loaded = await loadedInclude(next);
    if (loaded) for (const inner of loaded.entries) yield* within(call, loaded.frame, inner);
  } else if (entry.loop) yield* items(next, 0);
  else yield next;
}

async function* items(call: Call, from: number): AsyncGenerator<Call> {
  const { task, frame, host, run } = call;
  let all: Value[];
  try {
    all = loopItems(task, scopeOf(run, { play: frame.play, task, host: host.name, includes: includesOf(frame, host.name), ahead: true }));
  } catch {
    return;
  }
  for (let index = from; index < all.length; index++) yield { ...call, loop: loopVariables(task, all, index), index };
}

