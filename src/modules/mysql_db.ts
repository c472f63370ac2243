import type { z } from 'zod';
import { defineSession, ModuleError, type Change, type Channel } from './module.js';
import { connectMysql, loginParams, overridden, runAll, SKIP_BINLOG, type Session } from './mysql.js';
import { dumpParams, isAll, transfer } from './mysql_dump.js';
import { id, joinSql, rawSql, sql, type Sql } from './mysql_sql.js';
import { bool, choice, list, params, str } from './params.js';

interface Database {
  encoding: string;
  collation: string;
}

const spec = params({
  name: list('The databases; for dump and import all means all there are.').meta({ aliases: ['db'] }),
  state: choice(['present', 'absent', 'dump', 'import'], 'Whether they exist; or they are written to a file of the host, or one is read from it.').default('present'),
  encoding: str('Default character set, e.g. utf8mb4.').default(''),
  collation: str('Default collation, e.g. utf8mb4_unicode_ci.').default(''),
  sql_log_bin: bool('Writes what is done to the binary log; not what an import does.').default(true),
  check_implicit_admin: bool('Tries root without a password first.').default(false),
  config_overrides_defaults: bool('Host and port of [client] in config_file take the place of login_host and login_port.').default(false),
  ...dumpParams,
  ...loginParams,
}).check((context) => {
  const wanted = context.value;
  const issue = (message: string, where: string) => context.issues.push({ code: 'custom', message, input: wanted, path: [where] });
  const transfers = wanted.state === 'dump' || wanted.state === 'import';
  if (transfers && wanted.target === undefined) issue(`with state=${wanted.state} target is required`, 'target');
  if (wanted.state === 'import' && wanted.name.length > 1) issue('Multiple databases are not supported with state=import', 'name');
  if (!transfers && isAll(wanted)) issue("name is not allowed to equal 'all' unless state equals import, or dump.", 'name');
});
type Args = z.output<typeof spec>;

export default defineSession<typeof spec, Session & { channel: Channel; args: Args }, Map<string, Database>>({
  name: 'mysql_db',
  summary: 'Creates, removes, dumps and imports MySQL and MariaDB databases.',
  params: spec,
  returns: {
    db: 'The databases named, as one text.',
    db_list: 'The databases named.',
    executed_commands: 'The statements that were run.',
  },
  examples: ['- mysql_db:\n    name: shop\n    encoding: utf8mb4\n    collation: utf8mb4_unicode_ci\n', '- mysql_db:\n    name: shop\n    state: dump\n    target: /var/backups/shop.sql.gz\n'],
  async connect(given, channel) {
    const wanted = given.config_overrides_defaults ? await overridden(given, channel) : given;
    if (wanted.check_implicit_admin) {
      const args = { ...wanted, login_user: 'root', login_password: '' };
      const root = await connectMysql(args, channel).catch(() => undefined);
      if (root) return { ...root, channel, args };
    }
    return { ...(await connectMysql(wanted, channel)), channel, args: wanted };
  },
  close: (session) => session.close(),
  async inspect(wanted, session) {
    const { rows } = await session.run(
      sql`SELECT SCHEMA_NAME AS name, DEFAULT_CHARACTER_SET_NAME AS encoding, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA`,
    );
    return new Map(rows.filter(({ name }) => wanted.name.includes(String(name))).map((row) => [String(row.name), { encoding: String(row.encoding), collation: String(row.collation) }]));
  },
  compare(wanted, observed) {
    const missing = isAll(wanted) ? [] : wanted.name.filter((name) => !observed.has(name));
    if (wanted.state === 'dump') {
      if (missing.length > 0) throw new ModuleError(`Cannot dump database(s) '${missing.join(', ')}' - not found`);
      return [{ field: 'dump', from: null, to: wanted.target! }];
    }
    if (wanted.state === 'import') return [...missing.map((name) => ({ field: name, from: 'absent', to: 'present' })), { field: 'import', from: null, to: wanted.target! }];
    return wanted.name.flatMap((name) => {
      const database = observed.get(name);
      if (wanted.state === 'absent') return database ? [{ field: name, from: 'present', to: 'absent' }] : [];
      if (!database) return [{ field: name, from: 'absent', to: 'present' }];
      const changes: Change[] = [];
      if (wanted.encoding && charset(wanted.encoding) !== charset(database.encoding)) changes.push({ field: `${name}.encoding`, from: database.encoding, to: wanted.encoding });
      if (wanted.collation && charset(wanted.collation) !== charset(database.collation)) changes.push({ field: `${name}.collation`, from: database.collation, to: wanted.collation });
      return changes;
    });
  },
  async apply(wanted, session, observed, changes) {
    const defaults = joinSql([wanted.encoding ? sql`CHARACTER SET ${wanted.encoding}` : rawSql(''), wanted.collation ? sql`COLLATE ${wanted.collation}` : rawSql('')], ' ');
    const concerned = wanted.name.filter((name) => changes.some(({ field }) => field === name || field === `${name}.encoding` || field === `${name}.collation`));
    const transfers = wanted.state === 'dump' || wanted.state === 'import';
    const run = await runAll(session, [...(wanted.sql_log_bin || transfers ? [] : [SKIP_BINLOG]), ...concerned.map((name): Sql => statement(wanted, name, observed.has(name), defaults))]);
    return { executed_commands: transfers ? [...run, await transfer(session.args, session, session.channel)] : run };
  },
  verify: ({ state }) => state === 'present' || state === 'absent',
  result: (wanted, _observed, applied) => ({ db: wanted.name.join(' '), db_list: wanted.name, executed_commands: [], ...applied }),
});

function statement(wanted: Args, name: string, exists: boolean, defaults: Sql): Sql {
  if (wanted.state === 'absent') return sql`DROP DATABASE ${id(name)}`;
  return exists ? sql`ALTER DATABASE ${id(name)} ${defaults}` : joinSql([sql`CREATE DATABASE ${id(name)}`, defaults], ' ');
}

/** utf8 has been another name of utf8mb3 ever since there is utf8mb4. */
function charset(name: string): string {
  return name.toLowerCase().replace(/^utf8(?=_|$)/, 'utf8mb3');
}
