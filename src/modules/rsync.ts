/** rsync between the controller and a host, over the connection that stands; or on the host alone. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { raw, sh } from '../shell/sh.js';
import { ModuleError, type Channel } from './module.js';

export interface Transfer {
  options: readonly string[];
  src: string;
  dest: string;
  isPull: boolean;
}

export interface Rsync {
  /** @throws ModuleError where rsync fails */
  run(more: readonly string[]): Promise<{ stdout: string; cmd: string }>;
  close(): Promise<void>;
}

interface Ended {
  rc: number;
  stdout: string;
  stderr: string;
}

/** @throws ModuleError where the controller has no rsync */
export async function findRsync(): Promise<void> {
  const { rc } = await start('rsync', ['--version'], process.env).catch(() => ({ rc: 127 }));
  if (rc !== 0) throw new ModuleError('the controller has no rsync: synchronize needs it at both ends; install the package rsync, or use copy');
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.once('error', failed);
    const streams = Promise.all([text(child.stdout), text(child.stderr)]);
    child.once('close', (code) => void streams.then(([stdout, stderr]) => done({ rc: code ?? 1, stdout, stderr }), failed));
  });
}

/** What rsync takes for its remote shell: hands the command to us over a socket, and its streams. */
const SHELL = 'const s=require("net").connect(process.env.MUSTER_RSYNC);s.write(JSON.stringify(process.argv.slice(2))+"\\n");process.stdin.pipe(s);s.pipe(process.stdout);s.on("error",()=>process.exit(255));s.on("close",()=>process.exit(0))';

/** rsync runs here, its other half on the host: started by us over the connection, as the task's become says. */
export async function overChannel(channel: Channel, { options, src, dest, isPull }: Transfer): Promise<Rsync> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-rsync-'));
  let fault: string | undefined;
  const server = createServer({ allowHalfOpen: true }, (local) => {
    local.on('error', () => undefined);
    // The first line is the command, its words quoted by rsync for a shell, as ssh would be given it.
    let head = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const at = head.indexOf(10);
      if (at < 0) return;
      local.off('data', read).pause();
      local.unshift(head.subarray(at + 1));
      const words = JSON.parse(head.subarray(0, at).toString()) as string[];
      channel.program(sh`exec ${raw(words.join(' '))}`).then(
        (remote) => joined(local, remote),
        (error: Error) => {
          fault = error.message;
          local.destroy();
        },
      );
    };
    local.on('data', read);
  });
  const socket = join(folder, 's');
  await new Promise<void>((ready, failed) => server.once('error', failed).listen(socket, ready));
  const [from, to] = isPull ? [`muster:${src}`, dest] : [src, `muster:${dest}`];
  return {
    async run(more) {
      const args = [...options, ...more, '--rsh', `'${process.execPath}' -e '${SHELL}'`, '--', from, to];
      const ended = await start('rsync', args, { ...process.env, MUSTER_RSYNC: socket });
      const cmd = ['rsync', ...options, ...more, from, to].join(' ');
      return checked({ ...ended, stderr: fault ?? ended.stderr }, cmd);
    },
    async close() {
      await closed(server);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Each goes on until it ends itself: the other half may be gone before its last words are passed on. */
function joined(local: Duplex, remote: Duplex): void {
  remote.on('error', () => local.destroy()).on('close', () => local.end());
  local.on('close', () => remote.destroy());
  local.pipe(remote);
  remote.pipe(local);
}

function closed(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

/** Both paths are on the host. */
export function onHost(channel: Channel, { options, src, dest }: Transfer): Rsync {
  return {
    async run(more) {
      const words = ['rsync', ...options, ...more, '--', src, dest];
      const remote = await channel.program(sh`${words} 2>&1; echo "rc $?"`);
      remote.end();
      const said = await text(remote);
      const match = /rc (\d+)\n$/.exec(said);
      const stdout = said.slice(0, match?.index);
      return checked({ rc: Number(match?.[1] ?? 1), stdout, stderr: stdout }, words.join(' '));
    },
    close: () => Promise.resolve(),
  };
}

function checked({ rc, stdout, stderr }: Ended, cmd: string): { stdout: string; cmd: string } {
  if (rc !== 0) throw new ModuleError(stderr.trim() || `rsync failed with exit status ${rc}`, { rc, cmd, stdout, stderr });
  return { stdout, cmd };
}
