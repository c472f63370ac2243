import { ModuleError } from './module.js';
import { id, rawSql, sql, type Sql } from './mysql_sql.js';
import { atLeast, type Version } from './mysql_dialect.js';

/** What an account may do: `db.table` -> privileges in capitals; `GRANT` stands for the grant option. */
export type Grants = Map<string, Set<string>>;

/** Names by which MariaDB and MySQL show what was granted under another (MariaDB 10.5 renamed several). */
const SYNONYMS: Record<string, string> = {
  'ALL PRIVILEGES': 'ALL',
  'GRANT OPTION': 'GRANT',
  'REPLICATION REPLICA': 'REPLICATION SLAVE',
  'REPLICA MONITOR': 'SLAVE MONITOR',
  'REPLICATION REPLICA ADMIN': 'REPLICATION SLAVE ADMIN',
  'DELETE VERSIONING ROWS': 'DELETE HISTORY',
  'CREATE TEMPORARY TABLE': 'CREATE TEMPORARY TABLES',
};

/** MySQL 8 spells ALL on *.* out as these, and names the dynamic ones in a line of their own. */
const ALL_STATIC =
  'SELECT,INSERT,UPDATE,DELETE,CREATE,DROP,RELOAD,SHUTDOWN,PROCESS,FILE,REFERENCES,INDEX,ALTER,SHOW DATABASES,SUPER,CREATE TEMPORARY TABLES,LOCK TABLES,EXECUTE,REPLICATION SLAVE,REPLICATION CLIENT,CREATE VIEW,SHOW VIEW,CREATE ROUTINE,ALTER ROUTINE,CREATE USER,EVENT,TRIGGER,CREATE TABLESPACE,CREATE ROLE,DROP ROLE'.split(',');

/**
 * `shop.*:SELECT,INSERT/log.line:ALL,GRANT`, or a dict of such pairs.
 * @throws ModuleError for what is not so
 */
export function parsePriv(priv: unknown, version: Version): Grants {
  const pairs: [string, unknown][] =
    typeof priv === 'string'
      ? priv.split('/').map((part) => {
          const colon = part.lastIndexOf(':');
          if (colon < 0) throw new ModuleError(`priv "${part}" is not "db.table:PRIV1,PRIV2"`);
          return [part.slice(0, colon), part.slice(colon + 1)];
        })
      : Object.entries((priv ?? {}) as Record<string, unknown>);
  const grants: Grants = new Map();
  for (const [on, privileges] of pairs) add(grants, objectName(on), Array.isArray(privileges) ? privileges.map(String) : splitPrivileges(String(privileges)), version);
  return grants;
}

/** Reads the lines of SHOW GRANTS. Lines of roles and proxies are no privileges on data, and are passed over. */
export function parseGrants(lines: readonly string[], version: Version): Grants {
  const grants: Grants = new Map();
  for (const line of lines) {
    const match = /^GRANT (.+?) ON (?:(TABLE|FUNCTION|PROCEDURE) )?((?:`(?:[^`]|``)*`|\*)(?:\.(?:`(?:[^`]|``)*`|\*))?) TO (.*)$/.exec(line);
    if (!match || match[1] === 'PROXY') {
      if (/^GRANT (PROXY ON|`|'|SET DEFAULT ROLE|.*`@`)|^SET DEFAULT ROLE/.test(line)) continue;
      throw new ModuleError(`cannot read the grant "${line.replace(/(IDENTIFIED \S+(?: PASSWORD)?) .*/, '$1 …')}"`);
    }
    const [, privileges, kind, object, rest] = match;
    const name = `${kind && kind !== 'TABLE' ? `${kind} ` : ''}${object!.replaceAll('`', '')}`;
    add(grants, name, [...splitPrivileges(privileges!), ...(/WITH (?:.* )?GRANT OPTION/.test(rest!) ? ['GRANT'] : [])], version);
  }
  const global = grants.get('*.*');
  if (global && ALL_STATIC.every((privilege) => global.has(privilege)))
    grants.set('*.*', new Set(['ALL', ...(global.has('GRANT') ? ['GRANT'] : [])]));
  return grants;
}

function add(grants: Grants, on: string, privileges: string[], version: Version): void {
  const set = grants.get(on) ?? new Set();
  for (const privilege of privileges) {
    const name = canonical(privilege, version);
    if (name !== 'USAGE' && name !== '') set.add(name);
  }
  if (set.has('ALL')) for (const name of set) if (name !== 'ALL' && name !== 'GRANT') set.delete(name);
  if (set.size > 0) grants.set(on, set);
}

function canonical(privilege: string, version: Version): string {
  const match = /^([^(]+?)\s*(?:\(([^)]*)\))?$/.exec(privilege.trim());
  if (!match) return privilege.trim().toUpperCase();
  const name = match[1]!.toUpperCase().replace(/\s+/g, ' ');
  const canonicalName = version.flavor === 'mariadb' && atLeast(version, 10, 5) && name === 'REPLICATION CLIENT' ? 'BINLOG MONITOR' : SYNONYMS[name] ?? name;
  if (match[2] === undefined) return canonicalName;
  const columns = match[2].split(',').map((column) => column.trim().replaceAll('`', '')).sort();
  return `${canonicalName} (${columns.join(', ')})`;
}

function splitPrivileges(text: string): string[] {
  return text.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function objectName(on: string): string {
  const [, kind, rest] = /^(?:(FUNCTION|PROCEDURE)\s+)?(.*)$/is.exec(on.trim())!;
  const name = rest!.replaceAll('`', '');
  if (!name.includes('.')) throw new ModuleError(`priv "${on}" names no table; write ${on}.*`);
  return `${kind ? `${kind.toUpperCase()} ` : ''}${name}`;
}

/** `SELECT, INSERT ON shop.*`, quoted. */
export function onObject(on: string): Sql {
  const [, kind, database, table] = /^(?:(FUNCTION|PROCEDURE) )?(.*?)\.(.*)$/s.exec(on)!;
  const part = (name: string): Sql => (name === '*' ? rawSql('*') : id(name));
  return sql`${rawSql(kind ? `${kind} ` : '')}${part(database!)}.${part(table!)}`;
}

export function grant(on: string, privileges: ReadonlySet<string>, account: Sql): Sql {
  const names = [...privileges].filter((name) => name !== 'GRANT');
  return sql`GRANT ${rawSql(names.join(', ') || 'USAGE')} ON ${onObject(on)} TO ${account}${rawSql(privileges.has('GRANT') ? ' WITH GRANT OPTION' : '')}`;
}

export function revoke(on: string, privileges: ReadonlySet<string>, account: Sql): Sql {
  const names = [...privileges].map((name) => (name === 'GRANT' ? 'GRANT OPTION' : name));
  return sql`REVOKE ${rawSql(names.join(', '))} ON ${onObject(on)} FROM ${account}`;
}

/** Privileges are names and columns; anything else would be a way to write other SQL. */
export function checkPrivileges(grants: Grants): void {
  for (const [on, privileges] of grants)
    for (const privilege of privileges) if (!/^[A-Z_ ]+(?: \([\w$, -]+\))?$/.test(privilege)) throw new ModuleError(`"${privilege}" on ${on} is not a privilege`);
}
