import { ConnectionError } from '../connection/connection.js';
import { Failure } from '../expression/index.js';
import { LockedError } from './host-lock.js';
import { ModuleError } from '../modules/module.js';
import type { Difference, Failure as Told, Status, TaskResult } from '../report/events.js';
import { ArgumentError, ContentError, UndefinedError, UnknownError } from '../value/errors.js';
import { toPlain, toValue, type Dict, type Value } from '../value/value.js';

/** What came of a task (or one item of its loop) on one host, before it is judged by failed_when and ignore_errors. */
export interface Outcome {
  /** What `register` sees; always has changed and failed. */
  data: Dict;
  changed: boolean;
  failed: boolean;
  skipped: boolean;
  unreachable: boolean;
  /** In a plan: why the result can't be known. */
  unknown: string | undefined;
  changes: Difference[];
  failure: Told | undefined;
  /** Another run holds the host: neither ignored nor rescued, and the end of the run for it. */
  locked?: boolean;
  /** Taken from an earlier run: judged already. */
  resumed?: boolean;
  /** Remark for people: why it was skipped. */
  message: string | undefined;
}

/** An outcome that went well. Fields of `returns` named changed, failed or skipped count. */
export function outcome(returns: { [key: string]: unknown }, more: Partial<Outcome> = {}): Outcome {
  const data = toValue(returns) as Dict;
  const flag = (name: 'changed' | 'failed' | 'skipped') => more[name] ?? data.get(name) === true;
  const made: Outcome = {
    data,
    unreachable: false,
    unknown: undefined,
    changes: [],
    failure: undefined,
    message: undefined,
    ...more,
    changed: flag('changed'),
    failed: flag('failed'),
    skipped: flag('skipped'),
  };
  data.set('changed', made.changed);
  data.set('failed', made.failed);
  if (made.skipped) data.set('skipped', true);
  for (const stream of ['stdout', 'stderr']) {
    const text = data.get(stream);
    if (typeof text === 'string' && !data.has(`${stream}_lines`)) data.set(`${stream}_lines`, lines(text));
  }
  return made;
}

/** Python's `str.splitlines`, for the line ends that commands print. */
function lines(text: string): Value[] {
  if (text === '') return [];
  return text.replace(/\r?\n$/, '').split(/\r?\n/);
}

/** What a condition kept from running: as in Ansible its result says nothing of `failed`. */
export function skipped(reason: string, more: { [key: string]: unknown } = {}): Outcome {
  const made = outcome({ skip_reason: reason, ...more, changed: false }, { skipped: true, message: reason });
  made.data.delete('failed');
  return made;
}

/** In a plan: what only a real run could tell. */
export function unknown(why: string): Outcome {
  return outcome({}, { unknown: why, message: why });
}

export function failed(message: string, more: Partial<Told> & { fields?: { [key: string]: unknown } } = {}): Outcome {
  const { fields, ...failure } = more;
  return outcome(
    { ...fields, msg: message },
    {
      failed: true,
      failure: {
        message,
        doing: undefined,
        command: undefined,
        rc: undefined,
        stderr: undefined,
        stdout: undefined,
        remedy: undefined,
        origin: undefined,
        ...failure,
      },
    },
  );
}

/** Turns what was thrown while a task ran into its outcome. @param doing what was being done, for people */
export function outcomeOfError(error: unknown, doing: string): Outcome {
  if (error instanceof UnknownError) return unknown(error.why);
  if (error instanceof ConnectionError) {
    const unreachable = error.kind !== 'become' && error.kind !== 'upload';
    const made = failed(error.message, { doing, remedy: error.remedy, fields: { unreachable } });
    made.unreachable = unreachable;
    if (made.unreachable) {
      made.failed = false;
      made.data.delete('failed');
    }
    return made;
  }
  if (error instanceof LockedError) {
    const remedy = `wait for it with --lock-timeout SECONDS; a lock whose holder is silent ends within a minute, and "muster unlock ${error.host}" takes it away at once`;
    return { ...failed(error.message, { doing, remedy, fields: { locked: true } }), locked: true };
  }
  if (error instanceof ModuleError) {
    const { rc, stderr, stdout, cmd } = error.fields;
    return failed(error.message, {
      doing,
      rc: typeof rc === 'number' ? rc : undefined,
      stderr: typeof stderr === 'string' ? stderr : undefined,
      stdout: typeof stdout === 'string' ? stdout : undefined,
      command: typeof cmd === 'string' ? cmd : Array.isArray(cmd) ? cmd.join(' ') : undefined,
      origin: error.origin,
      fields: error.fields,
    });
  }
  if (error instanceof ArgumentError) {
    const made = failed(error.message, { doing, origin: error.origin, remedy: error.hint, fields: error.fields });
    made.data.set('msg', error.fields.msg);
    return made;
  }
  // A regular expression that came with the arguments.
  if (error instanceof Failure) return failed(error.message, { doing, remedy: error.hint });
  if (error instanceof UndefinedError) {
    const made = failed(error.message, { doing, origin: error.origin, remedy: error.hint });
    if (doing.startsWith('running ')) made.data.set('msg', ofUndefined(error));
    return made;
  }
  if (error instanceof ContentError) return failed(error.message, { doing, origin: error.origin, remedy: error.hint });
  // What cannot be written as a path, a shell word or a regular expression: the value is at fault, not Muster.
  if (error instanceof RangeError) return failed(/call stack/.test(error.message) ? 'a value nests too deep' : error.message, { doing });
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  return failed(`internal error: ${error instanceof Error ? error.message : String(error)}`, {
    doing,
    stderr: stack,
    remedy: 'this is a defect in Muster; please report it with the lines above',
  });
}

/** What `register` sees of something undefined: the words of Ansible up to 2.18, which playbooks look for. */
function ofUndefined({ message, origin }: UndefinedError): string {
  const error = message.replace(/^"(.*)" is undefined$/, "'$1' is undefined").replace(/^the dict has no "(.*)"$/, "'dict object' has no attribute '$1'");
  const where = origin && `\n\nThe error appears to be in '${origin.file}': line ${origin.line}, column ${origin.column}`;
  return `The task includes an option with an undefined variable. The error was: ${error}${where ?? ''}`;
}

/** What is told of changes under `no_log`. */
export const HIDDEN: Difference = { field: 'hidden', from: undefined, to: undefined, diff: undefined, secret: true };

/** How an outcome is told. `status` is what became of it (a failure may be ignored or rescued). */
export function told(result: Outcome, status: Status, seconds: number, censored: boolean): TaskResult {
  if (censored)
    return {
      status,
      message: undefined,
      changes: result.changes.length ? [HIDDEN] : [],
      data: { censored: 'hidden because no_log is set', changed: result.changed },
      error: result.failure && {
        message: 'the result is hidden because no_log is set',
        doing: undefined,
        command: undefined,
        rc: result.failure.rc,
        stderr: undefined,
        stdout: undefined,
        remedy: 'run the task without no_log where nobody else sees the output',
        origin: undefined,
      },
      seconds,
    };
  return {
    status,
    message: result.message,
    changes: result.changes,
    data: toPlain(result.data, false) as { [key: string]: unknown },
    error: result.failure,
    seconds,
  };
}
