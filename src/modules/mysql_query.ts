import { z } from 'zod';
import { defineSession, ModuleError, type Returns } from './module.js';
import { connectMysql, loginParams, sessionVars, setSession, type Session } from './mysql.js';
import { rawSql, sql, type Sql } from './mysql_sql.js';
import mysql from 'mysql2';
import { any, bool, dict, params, str } from './params.js';

const spec = params({
  query: z.union([z.string(), z.array(z.string())]).meta({ description: 'A statement, or several that run in order. %s and %(name)s take arguments.', title: 'raw' }),
  positional_args: z.array(any('A value.')).meta({ description: 'Values for %s.', title: 'list' }).optional(),
  named_args: dict('Values for %(name)s.').optional(),
  login_db: str('Database to use.').optional(),
  single_transaction: bool('Runs all statements in one transaction.').default(false),
  session_vars: sessionVars,
  ...loginParams,
});
type Args = z.output<typeof spec>;

/** What may stand before the first word of a statement. */
const LEAD = String.raw`^(?:\s|\/\*[\s\S]*?\*\/|--\s[^\n]*\n|\()*`;
/** Statements that change nothing (and so run in a plan as well). */
const READS = new RegExp(`${LEAD}(select|show|describe|desc|explain|with|table|values)\\b`, 'i');
/** What makes a SELECT write after all. */
const WRITES = /\binto\s+(outfile|dumpfile|@)|\bfor\s+update\b|\b(insert|update|delete|replace)\s/i;
/** Statements that change as many rows as the server says. */
const COUNTED = new RegExp(`${LEAD}(insert|update|delete|replace)\\b`, 'i');
/** Statements whose effect ends with the login. */
const SESSION = new RegExp(`${LEAD}(use|set\\s+(@(?!@)|session\\s|names\\s))`, 'i');

export default defineSession<typeof spec, Session, Returns | undefined>({
  name: 'mysql_query',
  summary: 'Runs SQL statements on a MySQL or MariaDB server.',
  params: spec,
  returns: {
    executed_queries: 'The statements as they were run.',
    query_result: 'For each statement the list of its rows, each a dict by column.',
    rowcount: 'For each statement the number of rows found or changed.',
  },
  examples: ['- mysql_query:\n    login_db: shop\n    query: SELECT * FROM item WHERE id = %(id)s\n    named_args:\n      id: 7\n'],
  // Run again, an INSERT inserts again.
  verify: false,
  async connect(wanted, channel) {
    if (wanted.positional_args !== undefined && wanted.named_args !== undefined) throw new ModuleError('positional_args and named_args exclude each other');
    return await setSession(await connectMysql(wanted, channel, wanted.login_db), wanted.session_vars);
  },
  close: (session) => session.close(),
  inspect: async (wanted, session) => (readOnly(wanted) ? await runQueries(wanted, session) : undefined),
  compare: (wanted) => (readOnly(wanted) ? [] : [{ field: 'query', from: null, to: queries(wanted) }]),
  apply: (wanted, session) => runQueries(wanted, session),
  result: (_wanted, observed, applied) => ({ executed_queries: [], query_result: [], rowcount: [], ...observed, ...applied }),
});

async function runQueries(wanted: Args, session: Session): Promise<Returns> {
  const statements = queries(wanted).map((text) => bind(text, wanted));
  const result = { executed_queries: [] as string[], query_result: [] as unknown[], rowcount: [] as number[], changed: false };
  if (wanted.single_transaction) await session.run(sql`START TRANSACTION`);
  for (const statement of statements) {
    // The login ends with an error, and with it what was not committed.
    const { rows, affected } = await session.run(statement);
    result.executed_queries.push(statement.shown);
    result.query_result.push(rows);
    result.rowcount.push(affected);
    result.changed ||= COUNTED.test(statement.text) ? affected > 0 : !READS.test(statement.text) && !SESSION.test(statement.text);
  }
  if (wanted.single_transaction) await session.run(sql`COMMIT`);
  return result;
}

function queries({ query }: Args): string[] {
  return typeof query === 'string' ? [query] : query;
}

function readOnly(wanted: Args): boolean {
  return queries(wanted).every((text) => READS.test(text) && !WRITES.test(text));
}

/**
 * Puts values in, as Python's database interface does (PEP 249, format and pyformat); `%%` is `%`, but only with values.
 * @throws ModuleError where values and places do not match
 */
export function bind(text: string, { positional_args: positional = [], named_args: named = {} }: Pick<Args, 'positional_args' | 'named_args'>): Sql {
  if (positional.length === 0 && Object.keys(named).length === 0) return rawSql(text);
  let next = 0;
  const filled = text.replace(/%(?:%|s|\((\w+)\)s)/g, (found, name: string | undefined) => {
    if (found === '%%') return '%';
    if (name !== undefined) {
      if (!Object.hasOwn(named, name)) throw new ModuleError(`named_args has no "${name}", which the query asks for`);
      return literal(named[name]);
    }
    if (next >= positional.length) throw new ModuleError(`the query has more %s than positional_args has values (${positional.length})`);
    return literal(positional[next++]);
  });
  if (next > 0 && next < positional.length) throw new ModuleError(`positional_args has ${positional.length} values, the query only ${next} times %s`);
  return rawSql(filled);
}

/** A list is written for IN. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `(${value.map(literal).join(', ')})`;
  if (typeof value === 'object' && value !== null) throw new ModuleError('a value for a query is a text, a number, a boolean, null or a list of them, not a dict');
  return mysql.escape(value as mysql.SqlValue);
}
