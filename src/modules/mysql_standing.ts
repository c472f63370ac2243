/** Whether an account is locked and when its password expires: parameters of mysql_user, as SHOW CREATE USER tells it. */
import { ModuleError, type Change } from './module.js';
import { rawSql, type Sql } from './mysql_sql.js';
import { bool, choice, int } from './params.js';

export const standingParams = {
  locked: bool('Nobody may log in with the account; left as it is unless given.').optional(),
  password_expire: choice(['now', 'never', 'default', 'interval'], "When its password expires: at once, never, as the server's variable says, or after password_expire_interval.").optional(),
  password_expire_interval: int('Days, for password_expire: interval.').optional(),
};

interface Wanted {
  locked?: boolean | undefined;
  password_expire?: 'now' | 'never' | 'default' | 'interval' | undefined;
  password_expire_interval?: number | undefined;
}

export interface Standing {
  locked: boolean;
  /** As password_expire, an interval with its days: `interval 90`. Of a password that has expired the server does not tell what held for it. */
  expires: string;
}

/** @param create what SHOW CREATE USER gave */
export function readStanding(create: string): Standing {
  const bare = create.replace(/'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`/gs, "''");
  const [expires, how, days] = /\bPASSWORD EXPIRE\b(?: (DEFAULT|NEVER|INTERVAL (\d+) DAY))?/.exec(bare) ?? [];
  return { locked: /\bACCOUNT LOCK\b/.test(bare), expires: days !== undefined ? `interval ${days}` : (how?.toLowerCase() ?? (expires === undefined ? 'default' : 'now')) };
}

export const asksStanding = ({ locked, password_expire }: Wanted): boolean => locked !== undefined || password_expire !== undefined;

/** @throws ModuleError where the interval does not fit */
function wantedExpiry({ password_expire: how, password_expire_interval: days }: Wanted): string | undefined {
  if (how === 'interval' && days === undefined) throw new ModuleError('password_expire is interval but all of the following are missing: password_expire_interval');
  if (days !== undefined && days < 1) throw new ModuleError('password_expire_interval value should be positive number');
  return how === 'interval' ? `interval ${days}` : how;
}

export function standingChanges(wanted: Wanted, host: string, has: Standing | undefined): Change[] {
  if (has === undefined) return [];
  const expires = wantedExpiry(wanted);
  return [
    ...(wanted.locked === undefined || wanted.locked === has.locked ? [] : [{ field: `${host}: locked`, from: has.locked, to: wanted.locked }]),
    // Only a new password mends one that has expired.
    ...(expires === undefined || expires === has.expires || has.expires === 'now' ? [] : [{ field: `${host}: password_expire`, from: has.expires, to: expires }]),
  ];
}

/** Clauses of CREATE USER and ALTER USER. */
export function standingClauses(wanted: Wanted): Sql[] {
  const expires = wantedExpiry(wanted);
  const clause = expires === 'now' ? '' : expires?.startsWith('interval') ? ` ${expires.toUpperCase()} DAY` : ` ${expires?.toUpperCase()}`;
  return [rawSql(expires === undefined ? '' : `PASSWORD EXPIRE${clause}`), rawSql(wanted.locked === undefined ? '' : `ACCOUNT ${wanted.locked ? 'LOCK' : 'UNLOCK'}`)];
}
