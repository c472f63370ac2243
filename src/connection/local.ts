import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Sh } from '../shell/sh.js';
import { ConnectionError } from './connection.js';
import { ShellConnection, type Remote } from './shell-connection.js';

/** This machine, without ssh: the same scripts on the standard input of a child's /bin/sh. */
export class LocalConnection extends ShellConnection {
  protected readonly opening = 0;
  protected readonly login = userInfo().username;
  readonly #children = new Set<() => void>();

  constructor(name: string) {
    super(name);
  }

  protected async exec(command: Sh): Promise<Remote> {
    // A process group of its own: Ctrl-C on our terminal is for Muster to judge, not for what runs.
    const child = spawn('/bin/sh', ['-c', command.text], { stdio: 'pipe', detached: true });
    let letGo = (): void => undefined;
    const close = (): void => {
      letGo();
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    };
    this.#children.add(close);
    const ended = new Promise<{ code: number | null }>((resolve, reject) => {
      child.once('error', (error) => reject(new ConnectionError('protocol', `${this.name}: /bin/sh: ${error.message}`)));
      let code: number | null = null;
      letGo = () => resolve({ code });
      child.once('close', () => resolve({ code }));
      child.once('exit', (status) => {
        code = status ?? 255;
        // A process it left behind may keep the pipes open: what is in them by then is all that counts. Where we ourselves
        // were too busy to read them (timers come before reading), they are read once more.
        setTimeout(() => setImmediate(() => resolve({ code })), 500).unref();
      });
    });
    ended.then(() => this.#children.delete(close), () => this.#children.delete(close));
    // Writing to a shell that has gone is told by `ended`.
    child.stdin.on('error', () => undefined);
    const write = (chunk: Buffer): Promise<unknown> => new Promise((resolve) => child.stdin.write(chunk, resolve));
    return { stdin: child.stdin, write, stdout: child.stdout, stderr: child.stderr, ended, close };
  }

  protected async forward(target: { socket: string } | { host: string; port: number }): Promise<Duplex> {
    return await new Promise((resolve, reject) => {
      const socket = connect('socket' in target ? { path: target.socket } : target);
      socket.once('connect', () => resolve(socket));
      socket.once('error', (error) => reject(new ConnectionError('refused', `${this.name}: ${error.message}`, 'is the server running there?')));
    });
  }

  protected async disconnect(): Promise<void> {
    for (const close of this.#children) close();
  }
}
