import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Become, Connection } from '../../src/connection/connection.js';
import { LocalConnection } from '../../src/connection/local.js';
import { verifies, type Change, type Channel, type Conversation, type Returns } from '../../src/modules/module.js';
import { freePort } from '../connection/sshd.js';
import { need } from '../connection/shells.js';

/** A real MariaDB with a data folder, a socket and a port of its own. */
export interface Server {
  socket: string;
  port: number;
  /** Runs SQL as root and gives what the client prints. */
  sql(text: string): string;
  stop(): Promise<void>;
}

export async function startServer(...options: string[]): Promise<Server> {
  need('mariadbd', 'mariadb-server', 'mariadb');
  const folder = mkdtempSync(join(tmpdir(), 'muster-db-'));
  const data = join(folder, 'data');
  const socket = join(folder, 's');
  const port = await freePort();
  // A server that starts removes what others left of temporary tables, and what they are at work on: each has a folder of its own for them.
  const common = ['--no-defaults', '--user=root', `--datadir=${data}`, `--tmpdir=${folder}`];
  execFileSync('mariadb-install-db', [...common, '--skip-test-db'], { stdio: 'pipe' });
  const server = spawn(
    'mariadbd',
    [...common, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1', `--pid-file=${join(folder, 'pid')}`, '--innodb-buffer-pool-size=16M', '--plugin-load-add=auth_socket', ...options],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const sql = (text: string): string => execFileSync('mariadb', ['--no-defaults', `--socket=${socket}`, '-N', '-B', '-e', text]).toString();
  for (;;) {
    if (server.exitCode !== null) throw new Error(`mariadbd: ${log.slice(-2000)}`);
    if (existsSync(socket) && log.includes('ready for connections')) break;
    await sleep(50);
  }
  return {
    socket,
    port,
    sql,
    async stop() {
      const gone = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The way of a conversation through a connection. */
export function channelOf(connection: Connection, become?: Become): Channel {
  return {
    open: (target) => connection.open(target, become),
    ask: async (script) => (await connection.trip({ effect: undefined, inspections: [{ script, become, environment: {} }] })).inspections[0]!,
    program: (script) => connection.program(script, become),
  };
}

/** Conversations as the engine leads them. */
export function talk(t: ExecutionContext, connection: Connection = new LocalConnection('here'), become?: Become) {
  t.teardown(() => connection.close());
  const channel = channelOf(connection, become);
  const look = async <T>(module: Conversation<any, any, any, any>, args: object, act: (wanted: any, session: any, observed: any) => Promise<T>): Promise<T> => {
    const wanted = module.params.parse(args);
    const session = await module.connect(wanted, channel);
    try {
      return await act(wanted, session, await module.inspect(wanted, session));
    } finally {
      await module.close(session);
    }
  };
  return {
    /** What a plan shows. */
    plan: (module: Conversation<any, any, any, any>, args: object): Promise<Change[]> => look(module, args, async (wanted, _session, observed) => module.compare(wanted, observed)),
    /** Applies, looks again with a login of its own, and expects nothing left to do. */
    async apply(module: Conversation<any, any, any, any>, args: object): Promise<{ changes: Change[]; result: Returns }> {
      const done = await look(module, args, async (wanted, session, observed) => {
        const changes = module.compare(wanted, observed);
        const applied = changes.length > 0 ? await module.apply(wanted, session, observed, changes) : undefined;
        return { changes, result: module.result(wanted, observed, applied ?? undefined) };
      });
      const left = await look(module, args, async (wanted, _session, observed) => (verifies(module, wanted) ? module.compare(wanted, observed) : []));
      t.deepEqual(left, [], `${module.name} ${JSON.stringify(args)}`);
      return done;
    },
  };
}
