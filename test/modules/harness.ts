/**
 * Runs a module as the engine does, through real shells and on the real file system of a throwaway folder:
 * prepare, inspect, parse, compare, apply, and inspect again, which must find nothing left to do.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, readlink, rm, stat, lstat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import type { Change, Controller, Declarative, Imperative, Output, Returns, Step } from '../../src/modules/module.js';
import { ModuleError, verifies } from '../../src/modules/module.js';
import type { Sh } from '../../src/shell/sh.js';

/** `busybox` is busybox ash with nothing but busybox's own tools on PATH. */
export const shells = ['dash', 'bash', 'busybox'] as const;
export type Shell = (typeof shells)[number];

export interface Place {
  shell: Shell;
  /** The throwaway folder: current directory and HOME of every script. */
  dir: string;
  /** Added to the scripts' environment; a PATH here wins (for faked tools). */
  env: Record<string, string>;
  run(script: Sh | Step): Promise<Output>;
}

/** Declares one test per shell, each in a throwaway folder that is removed behind it. */
export function inShells(test: TestFn, title: string, body: (t: ExecutionContext, place: Place) => Promise<void>, only: readonly Shell[] = shells): void {
  for (const shell of only) {
    test(`${title} [${shell}]`, async (t) => {
      const root = await mkdtemp(joinPath(tmpdir(), 'muster-'));
      try {
        const dir = joinPath(root, 'home');
        await mkdir(dir);
        await body(t, await place(shell, root, dir));
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    });
  }
}

async function place(shell: Shell, root: string, dir: string): Promise<Place> {
  const env: Record<string, string> = {};
  let program = `/bin/${shell}`;
  if (shell === 'busybox') {
    const tools = joinPath(root, 'tools');
    await mkdir(tools);
    await execute('busybox', ['--install', '-s', tools], '', root, { PATH: process.env['PATH']! });
    env['PATH'] = tools;
    program = joinPath(tools, 'ash');
  }
  let uploaded = 0;
  const here: Place = {
    shell,
    dir,
    env,
    async run(work) {
      const step = 'script' in work ? work : { script: work };
      let names = '';
      for (const [name, content] of Object.entries(step.uploads ?? {})) {
        const copy = joinPath(root, `upload-${uploaded++}`);
        await writeFile(copy, 'path' in content ? await readFile(content.path) : content.content, { mode: 0o600 });
        names += `${name}='${copy}'\n`;
      }
      // As unkind as a trip may be: a subshell on the left of ||, where `set -e` would not work, no input.
      const text = `rc=0\n(\n${names}${step.script.text}\n) </dev/null || rc=$?\nexit $rc\n`;
      return execute(program, [], text, dir, { PATH: process.env['PATH']!, HOME: dir, TMPDIR: root, LC_ALL: 'C', ...here.env });
    },
  };
  return here;
}

function execute(program: string, args: string[], input: string, cwd: string, env: Record<string, string>): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => out.push(piece));
    child.stderr.on('data', (piece: Buffer) => err.push(piece));
    child.on('error', reject);
    child.stdin.on('error', () => undefined);
    child.on('close', (code, signal) =>
      resolve({ rc: code ?? (signal === null ? 1 : 128), stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.end(input);
  });
}

/** A controller for modules that read nothing else there; `find` takes absolute paths only. */
export function controller(overrides: Partial<Controller> = {}): Controller {
  return {
    find: async (name) => name,
    render: async (path) => ({ text: await readFile(path, 'utf8'), secrets: [] }),
    host: 'host1',
    facts: new Map(),
    registers: false,
    variable: () => undefined,
    diff: false,
    verbosity: 0,
    hides: false,
    ...overrides,
  };
}

/** What one look at the host gave. */
export interface Looked {
  wanted: any;
  observed: any;
  changes: Change[];
}

/** Checks arguments, prepares and looks: what a plan does. Proves that looking wrote nothing into the folder. */
export async function look(t: ExecutionContext, place: Place, module: Declarative<any, any, any>, args: unknown, on: Controller = controller()): Promise<Looked> {
  const parsed = module.params.parse(args);
  const prepared = module.prepare ? await module.prepare(parsed, on) : parsed;
  const before = await fingerprint(place.dir);
  const output = await place.run(module.inspect(prepared));
  t.is(await fingerprint(place.dir), before, 'an inspection wrote something');
  const observed = module.parse(output, prepared);
  const wanted = module.refine ? await module.refine(prepared, observed) : prepared;
  return { wanted, observed, changes: module.compare(wanted, observed) };
}

export interface Converged extends Looked {
  /** What `register` would see (without what the engine adds). */
  result: Returns;
  /** Absent when nothing had to be done. */
  output: Output | undefined;
}

/** Does what is to be done and proves that a second look finds nothing more. A failing apply throws ModuleError. */
export async function converge(t: ExecutionContext, place: Place, module: Declarative<any, any, any>, args: unknown, on: Controller = controller()): Promise<Converged> {
  const looked = await look(t, place, module, args, on);
  const { wanted, observed, changes } = looked;
  if (changes.length === 0) return { ...looked, result: module.result(wanted, observed), output: undefined };
  module.result(wanted, observed); // what a plan registers must not need the output
  const output = await place.run(module.apply(wanted, observed, changes));
  if (output.rc !== 0) throw new ModuleError(output.stderr.trim(), { rc: output.rc, stdout: output.stdout, stderr: output.stderr });
  const result = module.result(wanted, observed, output);
  if (verifies(module, wanted) && !module.readOnly) {
    const again = await look(t, place, module, args, on);
    t.deepEqual(again.changes, [], 'a second look found changes');
  }
  return { ...looked, result, output };
}

/** The text a diff would show as the old one. */
export async function before(place: Place, module: Declarative<any, any, any>, looked: Looked, change: Change): Promise<string> {
  const output = await place.run(module.before!(looked.wanted, looked.observed, change));
  if (output.rc !== 0) throw new ModuleError(output.stderr.trim());
  return output.stdout;
}

export interface Ran {
  wanted: any;
  /** Why there was nothing to do; then nothing ran. */
  guarded: string | undefined;
  result: Returns | undefined;
  output: Output | undefined;
}

/** Runs an imperative module: its guard, then the command. */
export async function command(t: ExecutionContext, place: Place, module: Imperative<any, any>, args: unknown, on: Controller = controller()): Promise<Ran> {
  const parsed = module.params.parse(args);
  const wanted = module.prepare ? await module.prepare(parsed, on) : parsed;
  const guard = module.guard?.(wanted);
  if (guard) {
    const before = await fingerprint(place.dir);
    const answer = await place.run(guard);
    t.is(await fingerprint(place.dir), before, 'a guard wrote something');
    const guarded = module.guarded?.(answer, wanted, false);
    if (guarded) return { wanted, guarded: String(guarded['msg']), result: undefined, output: undefined };
  }
  const output = await place.run(module.run(wanted));
  return { wanted, guarded: undefined, result: module.result(wanted, output), output };
}

/** Everything below a folder that an inspection could have changed (access times are not among it). */
async function fingerprint(dir: string): Promise<string> {
  const hash = createHash('sha256');
  const visit = async (path: string): Promise<void> => {
    const info = await lstat(path);
    hash.update(`${path}\0${info.mode}\0${info.uid}\0${info.gid}\0${info.mtimeMs}\0${info.size}\0`);
    if (info.isSymbolicLink()) hash.update(await readlink(path));
    else if (info.isFile()) hash.update(await readFile(path));
    else if (info.isDirectory()) for (const name of (await readdir(path)).sort()) await visit(joinPath(path, name));
  };
  await visit(dir);
  return hash.digest('hex');
}

/** The permission bits of a file as "0644". */
export async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8).padStart(4, '0');
}
