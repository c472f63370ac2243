import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { run, sleep } from '../../src/lab/run.js';
import type { Event } from '../../src/report/events.js';
import { need } from '../connection/shells.js';
import type { Pair } from '../e2e/pair.js';
import { Outcome } from '../e2e/stack.js';

/** Seconds after which something that should have come will not. */
const PATIENCE = 60;

/** By its path: a package of npm has a command of that name. */
export const NFT = '/usr/sbin/nft';

/** A run under way, followed event by event. */
export class Running {
  readonly #events: Event[] = [];
  readonly #child: ChildProcess;
  #stderr = '';
  readonly ended: Promise<Outcome>;

  /** @param args behind the verb's playbook; the inventory is hosts.json unless they name one */
  constructor(pair: Pair, playbook: string, args: string[] = []) {
    const inventory = args.includes('-i') ? [] : ['-i', 'hosts.json'];
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('MUSTER_')));
    this.#child = spawn(process.execPath, [join(process.cwd(), 'dist/cli/main.js'), 'apply', playbook, ...inventory, '--output', 'json', ...args], { cwd: pair.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let rest = '';
    this.#child.stdout!.on('data', (piece: Buffer) => {
      const lines = (rest + piece.toString()).split('\n');
      rest = lines.pop()!;
      this.#events.push(...lines.map((line) => JSON.parse(line) as Event));
    });
    this.#child.stderr!.on('data', (piece: Buffer) => (this.#stderr += piece.toString()));
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(new Outcome(code, this.#events, this.#stderr))));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Until an event of this kind with these fields was told. @throws Error when it does not come */
  async told<K extends Event['event']>(kind: K, fields: Partial<Extract<Event, { event: K }>> = {}): Promise<void> {
    const comes = (event: Event) => event.event === kind && Object.entries(fields).every(([key, value]) => (event as unknown as { [key: string]: unknown })[key] === value);
    await until(async () => this.#events.some(comes), `${kind} ${JSON.stringify(fields)}`);
  }
}

/** Until it is so. @throws Error when it does not become so */
export async function until(isSo: () => Promise<boolean>, what: string, seconds = PATIENCE): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await isSo()); await sleep(100)) if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
}

/** Until a process of this command line runs on the host. */
export function runs(pair: Pair, host: string, pattern: string): Promise<void> {
  return until(async () => (await pair.on(host, `pgrep -f '${pattern.replace(/^./, '[$&]')}' || :`)) !== '', `${pattern} on ${host}`);
}

/**
 * What Muster left on a host: its temporary files, and processes and logins of its runs. The look itself is not told of:
 * all that belongs to its own login.
 */
export async function leftovers(pair: Pair, host: string): Promise<string> {
  return pair.on(
    host,
    `find / /tmp /run /dev/shm /mnt -xdev \\( -name '.muster.*' -o -name '*.muster.[0-9]*' \\) 2>/dev/null | sort -u
ps -eo pid=,ppid=,comm=,args= | awk -v me=$$ '
  { parent[$1] = $2; name[$1] = $3; whole[$1] = $0 }
  END {
    for (own = me; own > 1 && whole[own] !~ /sshd: .*\\[priv\\]/; own = parent[own]);
    for (pid in name) {
      for (at = pid; at > 1 && at != own; at = parent[at]);
      if (at != own && name[pid] ~ /^(sh|dash|bash|sleep|cat|yes|head|tr|base64|sha256sum|sudo|tar|apt-get|dpkg)$/) print whole[pid]
      if (at != own && whole[pid] ~ /sshd: (muster|worker)/) print whole[pid]
    }
  }'`,
  );
}

/** Nothing of Muster is left on the hosts, at once or soon. */
export async function isClean(t: ExecutionContext, pair: Pair, hosts = ['one', 'two']): Promise<void> {
  for (const host of hosts) {
    let left = '';
    await until(async () => (left = await leftovers(pair, host)) === '', `${host} clean`, 150).catch(() => undefined);
    t.is(left, '', `left on ${host}`);
  }
}

/** The run again does what is left to do, and the one after it finds nothing to do. */
export async function converges(t: ExecutionContext, pair: Pair, playbook: string, args: string[] = []): Promise<void> {
  const again = await pair.muster('apply', playbook, args);
  t.is(again.code, 0, again.told);
  const plan = await pair.muster('plan', playbook, args);
  t.is(plan.code, 0, plan.told + JSON.stringify(plan.results('changed')));
}

/** Packets between this machine and a host of a lab, cut by nftables. */
export class Cut {
  private constructor(readonly table: string) {}

  /**
   * @param how swallowed, or answered with a reset to both ends
   * @param after bytes of this machine that still get through
   */
  static async make(pair: Pair, host: string, how: 'drop' | 'reset', after = 0): Promise<Cut> {
    need(NFT, 'nftables');
    const table = `muster-${pair.lab.name}-${host}`;
    const address = pair.address(host);
    const verdict = how === 'drop' ? 'drop' : 'reject with tcp reset';
    await run(NFT, [
      `table ip ${table}
delete table ip ${table}
table ip ${table} {
  quota sent { over ${after} bytes }
  chain there { type filter hook output priority -5; ip daddr ${address} tcp dport 22 quota name "sent" ${verdict}; }
  chain back { type filter hook input priority -5; ip saddr ${address} tcp sport 22 quota name "sent" ${verdict}; }
}
`,
    ]);
    return new Cut(table);
  }

  /** Until packets met it. */
  async works(): Promise<void> {
    await until(async () => /used [1-9]/.test(await run(NFT, ['list', 'quotas', 'table', 'ip', this.table])), 'the cut');
  }

  async heal(): Promise<void> {
    await run(NFT, ['delete', 'table', 'ip', this.table]);
  }
}
