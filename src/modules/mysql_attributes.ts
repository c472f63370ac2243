/** Attributes of an account, a parameter of mysql_user: what MySQL (8.0.21 and later) keeps beside it as JSON. */
import { isDeepStrictEqual } from 'node:util';
import { ModuleError } from './module.js';
import { type Session } from './mysql.js';
import { atLeast } from './mysql_dialect.js';
import { sql, type Sql } from './mysql_sql.js';

export type Attributes = Record<string, unknown>;

/** The attributes of an account; none where it has none. */
export async function readAttributes({ run }: Session, user: string, host: string): Promise<Attributes> {
  const { rows } = await run(sql`SELECT ATTRIBUTE AS attribute FROM INFORMATION_SCHEMA.USER_ATTRIBUTES WHERE USER = ${user} AND HOST = ${host}`);
  const found = rows[0]?.attribute;
  return typeof found === 'string' ? (JSON.parse(found) as Attributes) : {};
}

/** @throws ModuleError where attributes are wanted of a server that has none */
export function checkAttributes({ dialect: { version } }: Session, wanted: Attributes | undefined): void {
  if (wanted === undefined || (version.flavor === 'mysql' && atLeast(version, 8, 0, 21))) return;
  throw new ModuleError(`user attributes were specified but the server (${version.text}) does not support user attributes`);
}

/** Those that differ; null takes one away. */
export function differingAttributes(wanted: Attributes | undefined, has: Attributes): Attributes {
  return Object.fromEntries(Object.entries(wanted ?? {}).filter(([name, value]) => !isDeepStrictEqual(value, has[name] ?? null)));
}

/** What is there once `changes` are made. */
export function mergedAttributes(has: Attributes, changes: Attributes): Attributes {
  return Object.fromEntries(Object.entries({ ...has, ...changes }).filter(([, value]) => value !== null));
}

/** The server merges them into those it has. */
export function attributeStatements(account: Sql, changes: Attributes): Sql[] {
  return Object.keys(changes).length === 0 ? [] : [sql`ALTER USER ${account} ATTRIBUTE ${JSON.stringify(changes)}`];
}
