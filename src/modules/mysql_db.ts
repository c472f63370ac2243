import { z } from 'zod';
import { defineSession, ModuleError, type Change } from './module.js';
import { connectMysql, loginParams, runAll, type Session } from './mysql.js';
import { id, joinSql, rawSql, sql, type Sql } from './mysql_sql.js';
import { list, params, str } from './params.js';

interface Database {
  encoding: string;
  collation: string;
}

const spec = params({
  name: list('Databases to create or remove.').meta({ aliases: ['db'], description: 'Databases to create or remove.', title: 'list' }),
  state: z
    .enum(['present', 'absent', 'dump', 'import'])
    .default('present')
    .meta({ description: 'Whether they exist. dump and import are refused: use mysqldump by command.', title: 'str' }),
  encoding: str('Default character set, e.g. utf8mb4.').default(''),
  collation: str('Default collation, e.g. utf8mb4_unicode_ci.').default(''),
  target: str('The file of a dump, for dump and import.').optional(),
  ...loginParams,
});
type Args = z.output<typeof spec>;

export default defineSession<typeof spec, Session, Map<string, Database>>({
  name: 'mysql_db',
  summary: 'Creates and removes MySQL and MariaDB databases.',
  params: spec,
  returns: {
    db: 'The databases named, as one text.',
    db_list: 'The databases named.',
    executed_commands: 'The statements that were run.',
  },
  examples: ['- mysql_db:\n    name: shop\n    encoding: utf8mb4\n    collation: utf8mb4_unicode_ci\n'],
  async connect(wanted, channel) {
    if (wanted.state === 'dump' || wanted.state === 'import') throw new ModuleError(`mysql_db does not support state: ${wanted.state}; run mysqldump or mysql by the command module`);
    return await connectMysql(wanted, channel);
  },
  close: (session) => session.close(),
  async inspect(wanted, session) {
    const { rows } = await session.run(
      sql`SELECT SCHEMA_NAME AS name, DEFAULT_CHARACTER_SET_NAME AS encoding, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA`,
    );
    return new Map(rows.filter(({ name }) => wanted.name.includes(String(name))).map((row) => [String(row.name), { encoding: String(row.encoding), collation: String(row.collation) }]));
  },
  compare(wanted, observed) {
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
    return { executed_commands: await runAll(session, concerned.map((name): Sql => statement(wanted, name, observed.has(name), defaults))) };
  },
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
