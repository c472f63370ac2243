import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { SeenPlan } from '../src/engine/review.js';
import { compressHosts } from '../src/report/hosts.js';
import { mask } from '../src/report/mask.js';
import { oneLine } from '../src/report/style.js';
import type { Reporter } from '../src/report/reporter.js';
import { EXIT, UsageError } from './exit.js';
import { takeLock } from './lock.js';
import type { Flags } from './options.js';
import { execute, prepare, reporterOf } from './run.js';
import { loadSettings } from './settings.js';

/** What a plan settles; none of it may be said again when it is applied. */
const SETTLED = ['inventory', 'limit', 'tags', 'skipTags', 'startAtTask', 'forceHandlers', 'become', 'becomeUser', 'becomeMethod', 'user', 'connection', 'privateKey', 'resume', 'retryFailed'] as const;
type Settled = Partial<Pick<Flags, (typeof SETTLED)[number]>>;

interface PlanFile {
  muster_plan: 1;
  at: string;
  by: string;
  playbooks: string[];
  flags: Settled;
  /** `-e`, in their order. One that holds a secret is not kept, only its print: it has to be given again. */
  extraVars: (string | { withheld: string })[];
  /** SHA-256 of the playbooks and inventory files. */
  files: { [path: string]: string };
  salt: string;
  plan: SeenPlan;
  /** HMAC-SHA256 over all else: a plan that was edited is not the one that was reviewed. */
  seal: string;
}

const MARK = '{"muster_plan":1,';

/** Whether a file is a plan that was kept: a playbook is a list. */
export function isPlan(file: string): boolean {
  if (!existsSync(file) || !statSync(file).isFile()) return false;
  const fd = openSync(file, 'r');
  try {
    const start = Buffer.alloc(MARK.length);
    readSync(fd, start);
    return start.toString() === MARK;
  } finally {
    closeSync(fd);
  }
}

/** The project's key for plans, made when it is first needed. Who has it can guess at secrets in a plan, so nobody else may read it. */
function keyOf(projectDir: string, make: boolean): Buffer {
  const file = join(projectDir, '.muster', 'plan.key');
  if (!existsSync(file)) {
    if (!make) throw new UsageError(`muster: the key of this project's plans is not here: ${file}; bring it from where the plan was made, or plan again`);
    mkdirSync(dirname(file), { recursive: true });
    try {
      writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new UsageError(`muster: the key of this project's plans cannot be written: ${(error as Error).message}`);
    }
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length !== 32) throw new UsageError(`muster: ${file} is not the key of plans; remove it, and plan again`);
  return key;
}

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('hex');

function sealOf(key: Buffer, { seal: _, ...rest }: PlanFile): string {
  return hmac(key, JSON.stringify(rest));
}

/** `muster plan --out FILE`. @returns the exit code of the plan; nothing is kept of one that failed */
export async function keepPlan(file: string, playbooks: string[], flags: Flags): Promise<number> {
  const prepared = await prepare('plan', playbooks, flags);
  const { Recorder, printer } = await import('../src/engine/review.js');
  const key = keyOf(prepared.projectDir, true);
  const salt = randomBytes(16).toString('hex');
  const recorder = new Recorder(printer(key, salt));
  const reporter = await reporterOf(flags, { diff: true, terse: false });
  const files = filesOf([...playbooks, ...prepared.inventory, ...flags.extraVars.flatMap((each) => (each.startsWith('@') ? [each.slice(1)] : []))]);
  const code = await execute({ ...prepared, review: recorder.review }, both(reporter, recorder));
  if (code !== EXIT.done && code !== EXIT.pending) {
    process.stderr.write('muster: the plan is not whole, so it is not kept\n');
    return code;
  }
  const settled: Settled = Object.fromEntries(SETTLED.flatMap((name) => (flags[name] === undefined || (Array.isArray(flags[name]) && flags[name].length === 0) ? [] : [[name, flags[name]]])));
  settled.inventory = prepared.inventory;
  const whole: PlanFile = {
    muster_plan: 1, at: new Date().toISOString(), by: `${userName()}@${hostname()}`, playbooks, flags: settled,
    extraVars: flags.extraVars.map((each) => (mask.text(each) === each ? each : { withheld: hmac(key, salt + each) })),
    files, salt, plan: recorder.plan, seal: '',
  };
  whole.seal = sealOf(key, whole);
  const beside = `${file}.${process.pid}`;
  try {
    writeFileSync(beside, `${JSON.stringify(whole)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new UsageError(`muster: the plan cannot be kept: ${(error as Error).message}`);
  }
  return code;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

/** Hashes of those that are files. */
function filesOf(paths: readonly string[]): PlanFile['files'] {
  const files = paths.filter((path) => existsSync(path) && statSync(path).isFile());
  return Object.fromEntries(files.map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]));
}

/** `muster apply PLAN`: makes what was reviewed, and nothing else. @throws UsageError before any host is touched where it cannot be */
export async function applyPlan(file: string, given: Flags): Promise<number> {
  const plan = read(file);
  for (const name of SETTLED) {
    const value = given[name];
    if (value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)) throw new UsageError(`muster: the plan settles --${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}; plan again to have it otherwise`);
  }
  const { projectDir } = loadSettings(plan.playbooks[0], process.env);
  const key = keyOf(projectDir, false);
  const seal = sealOf(key, plan);
  if (plan.seal.length !== seal.length || !timingSafeEqual(Buffer.from(plan.seal), Buffer.from(seal))) throw new UsageError(`muster: ${file} is not as it was kept, or was kept by another project: its seal does not fit`);
  const now = filesOf(Object.keys(plan.files));
  const moved = Object.keys(plan.files).filter((path) => now[path] !== plan.files[path]);
  if (moved.length > 0) throw new UsageError(`muster: changed since the plan was made: ${moved.join(', ')}; plan again`);
  const flags: Flags = { ...given, ...plan.flags, extraVars: variables(plan, given.extraVars, (text) => hmac(key, plan.salt + text)) };
  const prepared = await prepare('apply', plan.playbooks, flags);
  const { Reviewer, printer } = await import('../src/engine/review.js');
  const reviewer = new Reviewer(plan.plan, printer(key, plan.salt));
  const release = await takeLock(prepared.playbooks, prepared.inventory, prepared.lockTimeout);
  try {
    const reporter = await reporterOf(flags, { diff: prepared.diff, terse: false });
    return await execute({ ...prepared, review: reviewer.review }, {
      event(event) {
        reviewer.event(event);
        if (event.event === 'recap') for (const [task, hosts] of reviewer.already()) reporter.event({ event: 'note', message: `as planned already: ${oneLine(task)} · ${compressHosts(hosts)}` });
        reporter.event(event);
      },
      close: () => reporter.close(),
    });
  } finally {
    release();
  }
}

function read(file: string): PlanFile {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PlanFile;
  } catch (error) {
    throw new UsageError(`muster: ${file} is no whole plan: ${(error as Error).message}`);
  }
}

/** The variables of the plan, with those it does not hold as they were given again. */
function variables({ extraVars }: PlanFile, given: readonly string[], print: (text: string) => string): string[] {
  const left = [...given];
  const all = extraVars.map((each) => {
    if (typeof each === 'string') return each;
    const at = left.findIndex((text) => print(text) === each.withheld);
    if (at < 0) throw new UsageError('muster: the plan was made with a secret variable, which it does not hold: give the same -e again');
    return left.splice(at, 1)[0]!;
  });
  if (left.length > 0) throw new UsageError('muster: the plan settles -e; plan again to have it otherwise');
  return all;
}

function both(reporter: Reporter, recorder: Pick<Reporter, 'event'>): Reporter {
  return {
    event(event) {
      recorder.event(event);
      reporter.event(event);
    },
    close: () => reporter.close(),
  };
}
