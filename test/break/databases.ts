import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Outcome, Stack } from '../e2e/stack.js';

/** The databases of a stack, as the tests that break them use them. */
export class Databases {
  constructor(readonly stack: Stack) {}

  /** Rows of the last statement as root of the server, tabs between columns. */
  sql(host: string, statements: string): Promise<string> {
    return this.stack.on(host, `mariadb -N <<'END'\n${statements};\nEND\n`);
  }

  play(name: string, ...args: string[]): Promise<Outcome> {
    return this.stack.muster('apply', `playbooks/${name}.yml`, args);
  }

  async clean(t: ExecutionContext, ...args: string[]): Promise<void> {
    const plan = await this.stack.muster('plan', 'playbooks/site.yml', args);
    t.is(plan.code, 0, plan.told + JSON.stringify(plan.results('changed', 'unknown', 'failed')));
  }

  follows(host: string): Promise<Record<string, string>> {
    return this.stack.until(() => this.stack.replica(host), (is) => is['Slave_IO_Running'] === 'Yes' && is['Slave_SQL_Running'] === 'Yes' && is['Seconds_Behind_Master'] === '0');
  }

  async sameAs(t: ExecutionContext, primary: string, replica: string): Promise<void> {
    const at = await this.sql(primary, 'SELECT @@gtid_binlog_pos');
    await this.sql(replica, `SELECT MASTER_GTID_WAIT('${at}', 30)`);
    const sums = 'SELECT COUNT(*) FROM app.notes; CHECKSUM TABLE app.notes EXTENDED';
    t.is(await this.sql(replica, sums), await this.sql(primary, sums));
  }

  /** What a balancer says of a server. */
  state(balancer: string, backend: string, server: string): Promise<string> {
    return this.stack.on(balancer, `echo 'show stat' | socat -t5 - /run/haproxy/admin.sock | grep '^${backend},${server},' | cut -d, -f18`);
  }

  /** Waits until the primary acknowledges nothing but what a replica has in its log. */
  async acknowledges(t: ExecutionContext, primary: string): Promise<void> {
    const look = async (): Promise<string> => {
      await this.stack.write('does it acknowledge');
      return this.sql(primary, "SELECT GROUP_CONCAT(variable_value ORDER BY variable_name) FROM information_schema.global_status WHERE variable_name IN ('Rpl_semi_sync_master_clients', 'Rpl_semi_sync_master_status')");
    };
    t.is(await this.stack.until(look, (is) => is === '1,ON'), '1,ON');
  }

  /** Ends the server without a word, and for good: systemd does not start it again. */
  async kill(t: ExecutionContext, host: string): Promise<void> {
    const folder = '/run/systemd/system/mariadb.service.d';
    await this.stack.on(host, `mkdir -p ${folder} && printf '[Service]\\nRestart=no\\n' >${folder}/stays-dead.conf && systemctl daemon-reload && systemctl kill --signal=KILL mariadb`);
    t.is(await this.stack.until(() => this.stack.on(host, 'systemctl is-active mariadb || true'), (is) => is === 'failed'), 'failed');
  }

  /** Clients that write through the balancer, one note after the other, until told to stop. */
  writers(count: number): Writers {
    return new Writers(this, count);
  }
}

export function done(t: ExecutionContext, outcome: Outcome): void {
  t.is(outcome.code, 0, outcome.told);
}

export function refused(t: ExecutionContext, outcome: Outcome, ...why: RegExp[]): void {
  t.is(outcome.code, 3, outcome.told);
  for (const each of why) t.regex(outcome.told, each);
}

export class Writers {
  readonly acknowledged: { text: string; at: number }[] = [];
  readonly #name = `w${Date.now()}`;
  readonly #clients: Promise<void>[];
  #going = true;

  constructor(
    private readonly databases: Databases,
    count: number,
  ) {
    this.#clients = Array.from({ length: count }, async (_, client) => {
      for (let i = 0; this.#going; i++) {
        const text = `${this.#name} ${client} ${i}`;
        // A refusal is no loss: the client knows.
        await this.databases.stack.write(text).then(() => this.acknowledged.push({ text, at: Date.now() }), () => sleep(20));
      }
    });
  }

  /** Waits for so many more to be acknowledged. */
  async more(wanted: number): Promise<void> {
    const begin = this.acknowledged.length;
    for (const end = Date.now() + 60_000; this.acknowledged.length < begin + wanted && Date.now() < end; ) await sleep(50);
    if (this.acknowledged.length < begin + wanted) throw new Error(`only ${this.acknowledged.length - begin} writes were acknowledged within a minute`);
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#clients);
  }

  /** The longest time in which none was acknowledged, in seconds. */
  gap(): number {
    return Math.max(...this.acknowledged.slice(1).map(({ at }, i) => at - this.acknowledged[i]!.at)) / 1000;
  }

  /** Those acknowledged that the host does not have, and how many it has twice. */
  async lost(host: string): Promise<{ lost: { text: string }[]; twice: number }> {
    const has = (await this.databases.sql(host, `SELECT text FROM app.notes WHERE text LIKE '${this.#name} %'`)).split('\n');
    const kept = new Set(has);
    return { lost: this.acknowledged.filter(({ text }) => !kept.has(text)), twice: has.length - kept.size };
  }
}
