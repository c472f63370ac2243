import type { z } from 'zod';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { defineSession, ModuleError, type Change, type Channel } from './module.js';
import { bool, choice, int, params, path, str } from './params.js';

const spec = params({
  host: str('Name of the server, as the configuration of HAProxy has it.'),
  backend: str('Backend the server is in; every one that has it, without this.').optional(),
  state: choice(['enabled', 'disabled', 'drain'], 'In service; in maintenance (no traffic, no checks); or out of the rotation, and left to finish what it has.'),
  weight: str('Weight, 0 to 256, or a percentage of the configured one; counts with state: enabled.').optional(),
  wait: bool('Wait until the server is UP (state: enabled).').default(false),
  drain: bool('Wait until the server has no session left: with state: drain, and before maintenance with state: disabled.').default(false),
  wait_interval: int('Seconds between two looks.').default(5),
  wait_retries: int('Looks until waiting fails.').default(25),
  shutdown_sessions: bool('End the sessions of a server that goes into maintenance; drain overrides it.').default(false),
  health: bool('Turn its health checks on (state: enabled) or off (state: disabled) as well.').default(false),
  agent: bool('Turn its agent checks on (state: enabled) or off (state: disabled) as well.').default(false),
  others_up: int("Not Ansible's: servers of the backend that must be UP beside this one, or it is not taken out.").default(0),
  fail_on_not_found: bool('Fail where there is no such server.').default(false),
  socket: path("HAProxy's socket, with level admin.").default('/var/run/haproxy.sock'),
}).check((context) => {
  const { weight } = context.value;
  const issue = (message: string, at: string) => context.issues.push({ code: 'custom', message, input: context.value, path: [at] });
  const number = Number(/^(\d+)%?$/.exec(weight ?? '0')?.[1] ?? NaN);
  if (!(number <= (weight?.endsWith('%') ? 100 : 256))) issue(`"${weight}" is no weight: 0 to 256, or 0% to 100%`, 'weight');
  for (const name of ['host', 'backend'] as const) if (!/^[\w.:-]+$/.test(context.value[name] ?? '-')) issue(`"${context.value[name]}" cannot name a ${name === 'host' ? 'server' : name}`, name);
  for (const name of ['wait_interval', 'wait_retries'] as const) if (context.value[name] < 1) issue(`${name} is at least 1`, name);
});
type Args = z.output<typeof spec>;

/** Runs commands on a connection of their own: a reload of HAProxy meanwhile leaves no old process to talk to. */
type Session = (...commands: string[]) => Promise<string>;

interface Server {
  backend: string;
  name: string;
  /** As its administrator wants it. */
  state: Args['state'];
  /** As it is: UP, DOWN, MAINT, DRAIN, `UP 2/3`, `no check`, … */
  status: string;
  weight: number;
  /** The weight of the configuration. */
  configured: number;
  sessions: number;
  /** Whether checks of the kind are made; undefined where none is configured. */
  health: boolean | undefined;
  agent: boolean | undefined;
}

/** Bits of `show servers state` (HAProxy's management guide, 9.3): what an administrator forces, and what is on of a check. */
const FORCED_MAINTENANCE = 1;
const FORCED_DRAIN = 8;
const CHECK_CONFIGURED = 2;
const CHECK_ENABLED = 4;

export default defineSession<typeof spec, Session, Server[]>({
  name: 'haproxy',
  summary: 'Takes servers out of the rotation of HAProxy and puts them back, and waits for it.',
  params: spec,
  returns: {
    state_before: 'The servers of that name before: backend, name, state, status, weight, sessions.',
    state_after: 'The same afterwards; absent in a plan.',
  },
  examples: [
    '- haproxy:\n    backend: web\n    host: "{{ inventory_hostname }}"\n    state: drain\n    drain: true\n    wait_interval: 1\n    wait_retries: 60\n    socket: /run/haproxy/admin.sock\n  delegate_to: lb1',
    '- haproxy:\n    host: web1\n    state: enabled\n    wait: true',
    '- haproxy:\n    host: web1\n    backend: web\n    state: disabled\n    shutdown_sessions: true',
  ],
  connect: async ({ socket }, channel) => (...commands) => say(channel, socket, commands),
  close: () => Promise.resolve(),
  async inspect(wanted, session) {
    const servers = await look(session);
    const found = servers.filter((server) => isMeant(wanted, server));
    if (found.length === 0 && wanted.fail_on_not_found)
      throw new ModuleError(`HAProxy has no server ${wanted.backend ?? '*'}/${wanted.host}; it has ${servers.map(({ backend, name }) => `${backend}/${name}`).join(', ') || 'none'}`);
    if (wanted.state !== 'enabled')
      for (const { backend, state } of found) {
        if (state !== 'enabled') continue;
        const others = servers.filter((other) => other.backend === backend && other.name !== wanted.host);
        if (others.filter((other) => serves(other)).length < wanted.others_up)
          throw new ModuleError(`${backend}/${wanted.host} is not taken out: too few others would be left to serve (${others.map(({ name, status }) => `${name} is ${status}`).join(', ') || 'there is no other'})`, { state_before: found.map(shown) });
      }
    return found;
  },
  compare: (wanted, servers) => servers.flatMap((server) => differences(wanted, server)),
  async apply(wanted, session, before, changes) {
    const commands = [...new Set(changes.flatMap(({ command }: ToDo) => command ?? []))];
    try {
      if (wanted.state === 'disabled' && wanted.drain) {
        const draining = before.filter(({ state }) => state === 'enabled');
        if (draining.length) await order(session, draining.map((server) => `set server ${nameOf(server)} state drain`));
        await settle({ ...wanted, state: 'drain' }, session);
      }
      if (commands.length) await order(session, commands);
      const after = wanted.wait || wanted.drain ? await settle(wanted, session) : (await look(session)).filter((server) => isMeant(wanted, server));
      return { changed: commands.length > 0, state_after: after.map(shown) };
    } catch (error) {
      if (error instanceof ModuleError) throw new ModuleError(error.message, { ...error.fields, state_before: before.map(shown), changed: commands.length > 0 });
      throw error;
    }
  },
  result: (_wanted, before, applied) => ({ state_before: before.map(shown), ...(applied ?? { state_after: before.map(shown) }) }),
});

/** A change, and the command that makes it; without one it is waited for. */
interface ToDo extends Change {
  command?: string;
}

function nameOf({ backend, name }: Server): string {
  return `${backend}/${name}`;
}

function isMeant({ host, backend }: Args, server: Server): boolean {
  return server.name === host && (backend === undefined || server.backend === backend);
}

function serves({ state, status, weight }: Server): boolean {
  return state === 'enabled' && weight > 0 && /^(UP|no check)/.test(status);
}

function shown({ backend, name, state, status, weight, sessions }: Server): object {
  return { backend, name, state, status, weight, sessions };
}

function differences(wanted: Args, server: Server): ToDo[] {
  const at = nameOf(server);
  const todo: ToDo[] = [];
  if (server.state !== wanted.state) {
    const word = { enabled: 'ready', disabled: 'maint', drain: 'drain' }[wanted.state];
    todo.push({ field: `${at} state`, from: server.state, to: wanted.state, command: `set server ${at} state ${word}` });
  }
  const on = wanted.state === 'enabled';
  if (wanted.state !== 'drain')
    for (const kind of ['health', 'agent'] as const)
      if (wanted[kind] && server[kind] !== undefined && server[kind] !== on)
        todo.push({ field: `${at} ${kind} checks`, from: server[kind], to: on, command: `${on ? 'enable' : 'disable'} ${kind} ${at}` });
  if (on && wanted.weight !== undefined) {
    const weight = wanted.weight.endsWith('%') ? Math.floor((server.configured * parseInt(wanted.weight)) / 100) : Number(wanted.weight);
    if (weight !== server.weight) todo.push({ field: `${at} weight`, from: server.weight, to: weight, command: `set weight ${at} ${wanted.weight}` });
  }
  if (on && wanted.wait && !isUp(server)) todo.push({ field: `${at} status`, from: server.status, to: 'UP' });
  const end = wanted.state === 'disabled' && wanted.shutdown_sessions && !wanted.drain;
  if (!on && (wanted.drain || end) && server.sessions > 0)
    todo.push({ field: `${at} sessions`, from: server.sessions, to: 0, ...(end && { command: `shutdown sessions server ${at}` }) });
  return todo;
}

function isUp({ status }: Server): boolean {
  return status === 'UP' || status === 'no check';
}

/** Looks until what is to be waited for has come. @throws ModuleError when it has not */
async function settle(wanted: Args, session: Session): Promise<Server[]> {
  for (let looks = 1; ; looks++) {
    const servers = (await look(session)).filter((server) => isMeant(wanted, server));
    const waiting = servers.filter((server) => differences(wanted, server).some(({ command }) => command === undefined));
    if (waiting.length === 0) return servers;
    if (looks >= wanted.wait_retries) {
      const why = waiting.map((server) => (wanted.state === 'enabled' ? `${nameOf(server)} is ${server.status}, not UP` : `${nameOf(server)} still has ${server.sessions} session${server.sessions === 1 ? '' : 's'}`));
      throw new ModuleError(`${why.join('; ')}, after ${looks} look${looks === 1 ? '' : 's'} ${wanted.wait_interval} s apart`, { state_after: servers.map(shown) });
    }
    await sleep(wanted.wait_interval * 1000);
  }
}

/** One connection, as HAProxy has it without its prompt: a line of commands, all answers, the end. */
async function say(channel: Channel, socket: string, commands: string[]): Promise<string> {
  const stream = await channel.open({ socket }).catch((error: Error & { kind?: string; remedy?: string }) => {
    // The host is there, HAProxy is not: the task fails, and the host is not unreachable.
    if (error.kind === 'refused') throw new ModuleError(`${error.message}${error.remedy ? `; ${error.remedy}` : ''}`);
    throw error;
  });
  try {
    stream.end(`${commands.join(';')}\n`);
    return await text(stream);
  } finally {
    stream.destroy();
  }
}

/** Commands that answer nothing unless they fail. */
async function order(session: Session, commands: string[]): Promise<void> {
  const said = (await session(...commands)).trim();
  if (said !== '') throw new ModuleError(`HAProxy: ${said.replace(/\n+/g, ' ')}; the commands were: ${commands.join('; ')}`, { commands });
}

/** All servers. Two answers are needed: the one has what was told to be, the other what is. */
async function look(session: Session): Promise<Server[]> {
  const answer = await session('show servers state', 'show stat -1 4 -1');
  const [states, stats] = [table(answer, /^# (be_id .*)$/m, ' '), table(answer, /^# (pxname,.*)$/m, ',')];
  if (states === undefined || stats === undefined) throw new ModuleError(`HAProxy does not tell its servers: ${answer.trim().split('\n')[0] || 'no answer'}`);
  return stats.map((stat): Server => {
    const state = states.find((row) => row['be_name'] === stat['pxname'] && row['srv_name'] === stat['svname']);
    if (state === undefined) throw new ModuleError(`HAProxy does not tell the state of ${stat['pxname']}/${stat['svname']}`);
    const admin = Number(state['srv_admin_state']);
    const check = (bits: number): boolean | undefined => (bits & CHECK_CONFIGURED ? (bits & CHECK_ENABLED) !== 0 : undefined);
    return {
      backend: stat['pxname']!,
      name: stat['svname']!,
      state: admin & FORCED_MAINTENANCE ? 'disabled' : admin & FORCED_DRAIN ? 'drain' : 'enabled',
      status: stat['status']!,
      weight: Number(state['srv_uweight']),
      configured: Number(state['srv_iweight']),
      sessions: Number(stat['scur']),
      health: check(Number(state['srv_check_state'])),
      agent: check(Number(state['srv_agent_state'])),
    };
  });
}

/** The rows under a head, up to an empty line. What is read of them stands before any field that may hold a separator. */
function table(answer: string, head: RegExp, separator: string): { [column: string]: string }[] | undefined {
  const found = head.exec(answer);
  if (!found) return undefined;
  const columns = found[1]!.split(separator);
  const rows = answer.slice(found.index + found[0].length + 1).split('\n\n', 1)[0]!.split('\n').filter(Boolean);
  return rows.map((row) => Object.fromEntries(row.split(separator).map((value, i) => [columns[i] ?? '', value])));
}
