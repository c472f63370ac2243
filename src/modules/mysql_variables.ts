import type { z } from 'zod';
import { defineSession, ModuleError } from './module.js';
import { connectMysql, loginParams, runAll, type Session } from './mysql.js';
import { id, rawSql, sql, type Sql } from './mysql_sql.js';
import { choice, params, str } from './params.js';

interface Observed {
  running: string;
  /** What SET PERSIST has written down; undefined where nothing, or where the server knows no such thing. */
  persisted: string | undefined;
}

const spec = params({
  variable: str('Name of the system variable.'),
  value: str('Value it must have; without it the present one is only told.').optional(),
  mode: choice(['global', 'persist', 'persist_only'], 'global until the server restarts, persist for ever, persist_only from the next start on.').default('global'),
  ...loginParams,
});
type Args = z.output<typeof spec>;

export default defineSession<typeof spec, Session, Observed>({
  name: 'mysql_variables',
  summary: 'Sets system variables of a running MySQL or MariaDB server.',
  params: spec,
  returns: { queries: 'The statements that were run.', msg: 'The value the variable had.' },
  examples: ['- mysql_variables:\n    variable: read_only\n    value: "1"\n'],
  connect: (wanted, channel) => connectMysql(wanted, channel),
  close: (session) => session.close(),
  async inspect({ variable, mode }, session) {
    if (!/^[\w.]+$/.test(variable)) throw new ModuleError(`"${variable}" is not the name of a variable`);
    if (mode !== 'global' && !session.dialect.persist) throw new ModuleError(`this server (${session.dialect.version.text}) has no SET PERSIST; use mode: global and write the value into its configuration file`);
    const { rows } = await session.run(sql`SHOW GLOBAL VARIABLES WHERE Variable_name = ${variable}`);
    if (rows.length === 0) throw new ModuleError(`this server (${session.dialect.version.text}) has no variable ${variable}`);
    const persisted = mode === 'global' ? [] : (await session.run(sql`SELECT VARIABLE_VALUE AS value FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = ${variable}`)).rows;
    return { running: String(rows[0]!.Value), persisted: persisted[0] && String(persisted[0].value) };
  },
  compare({ variable, value, mode }, { running, persisted }) {
    if (value === undefined) return [];
    const differs = (present: string | undefined): boolean => present === undefined || !same(present, value);
    return [
      ...(mode !== 'persist_only' && differs(running) ? [{ field: variable, from: running, to: value }] : []),
      ...(mode !== 'global' && differs(persisted) ? [{ field: `${variable} (persisted)`, from: persisted, to: value }] : []),
    ];
  },
  apply: async (wanted, session) => ({ queries: await runAll(session, [statement(wanted)]) }),
  result: (_wanted, { running }, applied) => ({ msg: running, queries: [], ...applied }),
});

function statement({ variable, value, mode }: Args): Sql {
  const name = variable.includes('.') ? rawSql(variable.split('.').map((part) => id(part).text).join('.')) : id(variable);
  const number = plain(value!);
  return sql`SET ${rawSql(mode.toUpperCase())} ${name} = ${/^-?\d+(\.\d+)?$/.test(number) ? rawSql(number) : number}`;
}

/** A value as it is written for SET: YAML's booleans as ON and OFF, `128M` in bytes. */
function plain(value: string): string {
  if (/^(true|yes)$/i.test(value)) return 'ON';
  if (/^(false|no)$/i.test(value)) return 'OFF';
  const size = /^(\d+)([KMGT])$/i.exec(value);
  return size ? String(Number(size[1]) * 1024 ** ('KMGT'.indexOf(size[2]!.toUpperCase()) + 1)) : value;
}

/** Lists (sql_mode) have no order; switches that are not named (optimizer_switch) keep what they have. */
function same(present: string, wanted: string): boolean {
  if (!/[,=]/.test(wanted)) return normal(present) === normal(wanted);
  const [has, named] = [present, wanted].map((text) => new Set(normal(text).split(',')));
  return [...named!].every((part) => has!.has(part)) && (has!.size === named!.size || wanted.includes('='));
}

function normal(value: string): string {
  const text = plain(value).toLowerCase();
  if (text === 'on') return '1';
  if (text === 'off') return '0';
  return /^-?\d+(\.\d+)?$/.test(text) ? String(Number(text)) : text;
}
