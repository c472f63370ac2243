/**
 * What MySQL and MariaDB call the same things, chosen by the server's version, in one table.
 * Sources: MySQL 8.0.22, 8.0.23, 8.2 and 8.4 release notes (replica and source instead of slave and master, the old
 * words removed in 8.4); MariaDB's CHANGE MASTER TO and SHOW REPLICA STATUS.
 */
export interface Version {
  flavor: 'mysql' | 'mariadb';
  numbers: readonly [number, number, number];
  /** As the server says it. */
  text: string;
}

export interface Dialect {
  version: Version;
  replicaStatus: string;
  primaryStatus: string;
  /** `CHANGE MASTER TO`. */
  change: string;
  /** Prefix of the options of `change` and of the columns of the status. */
  option: 'MASTER' | 'SOURCE';
  column: 'Master' | 'Source';
  threads: readonly [io: string, sql: string];
  start: string;
  stop: string;
  reset: string;
  resetPrimary: string;
  /** How a named connection is written behind a statement or within it. */
  named(statement: string, name: string): string;
  /** SET PERSIST is known. */
  persist: boolean;
  /** `IDENTIFIED WITH plugin AS hash` (MySQL) or `IDENTIFIED VIA plugin USING hash`. */
  identified: { with: string; hash: string };
}

/** @param text the result of VERSION(), e.g. `10.11.6-MariaDB-0+deb12u1` or `8.4.3` */
export function parseVersion(text: string): Version {
  // MariaDB once put 5.5.5- in front, for replicas of old MySQL.
  const match = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (!match) throw new Error(`"${text}" is not the version of a MySQL or MariaDB server`);
  const [, major, minor, patch] = match;
  return { flavor: /mariadb/i.test(text) ? 'mariadb' : 'mysql', numbers: [Number(major), Number(minor), Number(patch)], text };
}

export function atLeast({ numbers }: Version, ...wanted: number[]): boolean {
  for (let i = 0; i < wanted.length; i++) if (numbers[i] !== wanted[i]) return numbers[i]! > wanted[i]!;
  return true;
}

export function dialect(version: Version): Dialect {
  const mysql = version.flavor === 'mysql';
  const status = mysql && atLeast(version, 8, 0, 22);
  const change = mysql && atLeast(version, 8, 0, 23);
  const word = status ? 'REPLICA' : 'SLAVE';
  return {
    version,
    replicaStatus: `SHOW ${word} STATUS`,
    primaryStatus: mysql && atLeast(version, 8, 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    change: change ? 'CHANGE REPLICATION SOURCE TO' : 'CHANGE MASTER TO',
    option: change ? 'SOURCE' : 'MASTER',
    column: status ? 'Source' : 'Master',
    threads: status ? ['Replica_IO_Running', 'Replica_SQL_Running'] : ['Slave_IO_Running', 'Slave_SQL_Running'],
    start: `START ${word}`,
    stop: `STOP ${word}`,
    reset: `RESET ${word}`,
    resetPrimary: mysql && atLeast(version, 8, 2) ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER',
    // MariaDB names connections within the statement, MySQL names channels behind it.
    named: (statement, name) =>
      mysql ? `${statement} FOR CHANNEL '${name}'` : statement.replace(/^(\S+ (?:SLAVE|MASTER))/, `$1 '${name}'`),
    persist: mysql && atLeast(version, 8, 0),
    identified: mysql ? { with: 'IDENTIFIED WITH', hash: 'AS' } : { with: 'IDENTIFIED VIA', hash: 'USING' },
  };
}
