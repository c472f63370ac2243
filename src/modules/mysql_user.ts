import type { z } from 'zod';
import { defineSession, ModuleError, type Change } from './module.js';
import { connectMysql, loginParams, runAll, sessionVars, setSession, SKIP_BINLOG, type Row, type Session } from './mysql.js';
import type { Dialect } from './mysql_dialect.js';
import { attributeStatements, checkAttributes, differingAttributes, mergedAttributes, readAttributes, type Attributes } from './mysql_attributes.js';
import { checkPrivileges, grant, parseGrants, parsePriv, revoke, type Grants } from './mysql_grants.js';
import { passwordMatches, SALTED, saltedHash } from './mysql_password.js';
import { hidden, joinSql, rawSql, sql, type Sql } from './mysql_sql.js';
import { asksStanding, readStanding, standingChanges, standingClauses, standingParams, type Standing } from './mysql_standing.js';
import { any, bool, choice, dict, params, secret, str } from './params.js';

interface Account {
  host: string;
  plugin: string;
  /** The authentication string, one character for each byte. */
  stored: string;
  tls: Record<string, string | null>;
  limits: Record<string, number>;
  grants: Grants;
  /** Where it matters. */
  standing: Standing | undefined;
  /** Empty where none are asked for. */
  attributes: Attributes;
}

interface Observed {
  accounts: Account[];
  wanted: Grants | undefined;
  dialect: Dialect;
}

const LIMITS: Record<string, string> = {
  MAX_QUERIES_PER_HOUR: 'max_questions',
  MAX_UPDATES_PER_HOUR: 'max_updates',
  MAX_CONNECTIONS_PER_HOUR: 'max_connections',
  MAX_USER_CONNECTIONS: 'max_user_connections',
};

const spec = params({
  name: str('The account.').meta({ aliases: ['user'], description: 'The account.', title: 'str' }),
  host: str('Host part of the account.').default('localhost'),
  host_all: bool('Means the account with every host part it has.').default(false),
  state: choice(['present', 'absent'], 'Whether the account exists.').default('present'),
  password: secret('Its password.').optional(),
  encrypted: bool('The password is a mysql_native_password hash.').default(false),
  update_password: choice(['always', 'on_create', 'on_new_username'], 'When a password that differs is set.').default('always'),
  plugin: str('Authentication plugin.').optional(),
  plugin_hash_string: secret('Hash for the plugin.').meta({ aliases: ['plugin_hash'], description: 'Hash for the plugin.', secret: true, title: 'str' }).optional(),
  plugin_auth_string: secret('Clear text for the plugin.').meta({ aliases: ['plugin_auth'], description: 'Clear text for the plugin.', secret: true, title: 'str' }).optional(),
  salt: str('20 characters the hash of plugin_auth_string is made with (caching_sha2_password, sha256_password), so that it is the same on every server.').optional(),
  attributes: dict('Attributes MySQL keeps beside the account; null takes one away, others stay.').optional(),
  priv: any('Privileges: "db.table:PRIV1,PRIV2/…" or a dict of table and privileges.').optional(),
  column_case_sensitive: bool('Taken for compatibility: columns are granted as they are written.').optional(),
  append_privs: bool('Other privileges the account has are left to it.').default(false),
  subtract_privs: bool('The privileges named are taken away.').default(false),
  tls_requires: dict('SSL, X509, or SUBJECT, ISSUER and CIPHER.').optional(),
  resource_limits: dict('MAX_QUERIES_PER_HOUR and its like.').optional(),
  sql_log_bin: bool('Writes what is done to the binary log.').default(true),
  ...standingParams,
  session_vars: sessionVars,
  force_context: bool('Works in the database mysql, for servers that filter their binary log by database.').default(false),
  check_implicit_admin: bool('Tries root without a password first.').default(false),
  ...loginParams,
}).check((context) => {
  const { salt, plugin, plugin_auth_string } = context.value;
  const issue = (message: string): void => void context.issues.push({ code: 'custom', message, input: salt, path: ['salt'] });
  if (salt === undefined) return;
  if (plugin_auth_string === undefined) issue('salt requires plugin_auth_string');
  if (Buffer.byteLength(salt) !== 20 || salt.length !== 20) issue('salt must be 20 characters long, of ASCII');
  if (!isSalted(plugin)) issue('salt requires caching_sha2_password or sha256_password plugin');
});
type Args = z.output<typeof spec>;

export default defineSession<typeof spec, Session, Observed>({
  name: 'mysql_user',
  summary: 'Manages accounts of a MySQL or MariaDB server, their passwords and privileges.',
  params: spec,
  returns: { user: 'The account.', queries: 'The statements that were run, without passwords.', password_changed: 'Whether a password was set.', attributes: 'Attributes of the account, where they are among the parameters; null where there are none.' },
  examples: ['- mysql_user:\n    name: shop\n    host: 198.18.0.%\n    password: "{{ shop_password }}"\n    priv: "shop.*:SELECT,INSERT,UPDATE,DELETE"\n'],
  async connect(wanted, channel) {
    if (wanted.append_privs && wanted.subtract_privs) throw new ModuleError('append_privs and subtract_privs exclude each other');
    if (wanted.password !== undefined && wanted.plugin !== undefined) throw new ModuleError('password and plugin exclude each other; use plugin_auth_string or plugin_hash_string');
    const context = wanted.force_context ? 'mysql' : undefined;
    if (wanted.check_implicit_admin) {
      const root = await connectMysql({ ...wanted, login_user: 'root', login_password: '' }, channel, context).catch(() => undefined);
      if (root) return await setSession(root, wanted.session_vars);
    }
    return await setSession(await connectMysql(wanted, channel, context), wanted.session_vars);
  },
  close: (session) => session.close(),
  async inspect(wanted, session) {
    checkAttributes(session, wanted.attributes);
    const all = await session.run(sql`SELECT Host AS host, plugin, HEX(authentication_string) AS auth, ssl_type, ssl_cipher, x509_issuer, x509_subject,
max_questions, max_updates, max_connections, max_user_connections FROM mysql.user WHERE User = ${wanted.name}`);
    const rows = all.rows.filter(({ host }) => wanted.host_all || sameHost(String(host), wanted.host));
    const { version } = session.dialect;
    const accounts: Account[] = [];
    for (const row of rows) {
      const host = text(row.host);
      const grants = (await session.run(sql`SHOW GRANTS FOR ${wanted.name}@${host}`)).rows.map((line) => String(Object.values(line)[0]));
      accounts.push({
        host,
        plugin: text(row.plugin),
        stored: Buffer.from(text(row.auth), 'hex').toString('latin1'),
        tls: tlsOf(row),
        limits: Object.fromEntries(Object.entries(LIMITS).map(([name, column]) => [name, Number(row[column])])),
        grants: parseGrants(grants, version),
        standing: asksStanding(wanted) ? readStanding(String(Object.values((await session.run(sql`SHOW CREATE USER ${wanted.name}@${host}`)).rows[0]!)[0])) : undefined,
        attributes: wanted.attributes === undefined ? {} : await readAttributes(session, wanted.name, host),
      });
    }
    const grants = wanted.priv === undefined || wanted.priv === null ? undefined : parsePriv(wanted.priv, version);
    if (grants) checkPrivileges(grants);
    return { accounts, wanted: grants, dialect: session.dialect };
  },
  compare(wanted, { accounts, wanted: grants }) {
    if (wanted.state === 'absent') return accounts.map(({ host }) => ({ field: 'account', from: `${wanted.name}@${host}`, to: null }));
    if (accounts.length === 0 && wanted.host_all) throw new ModuleError(`${wanted.name} has no account yet: host_all changes accounts, it makes none`);
    if (accounts.length === 0) return [{ field: 'account', from: null, to: `${wanted.name}@${wanted.host}` }, ...grantChanges(wanted, new Map(), grants, wanted.host)];
    return accounts.flatMap((account) => [
      ...passwordChanges(wanted, account),
      ...(wanted.tls_requires && !sameTls(tlsWanted(wanted.tls_requires), account.tls) ? [{ field: `${account.host}: tls_requires`, from: account.tls, to: tlsWanted(wanted.tls_requires) }] : []),
      ...limitChanges(wanted, account),
      ...standingChanges(wanted, account.host, account.standing),
      ...attributeChanges(wanted, account),
      ...grantChanges(wanted, account.grants, grants, account.host),
    ]);
  },
  async apply(wanted, session, observed, changes) {
    const statements = wanted.sql_log_bin ? [] : [SKIP_BINLOG];
    if (wanted.state === 'absent') statements.push(...observed.accounts.map(({ host }) => sql`DROP USER ${wanted.name}@${host}`));
    else if (observed.accounts.length === 0) statements.push(...(await creation(wanted, session, observed)));
    else for (const account of observed.accounts) statements.push(...alteration(wanted, account, observed, changes));
    const queries = await runAll(session, statements);
    return { queries, password_changed: changes.some(({ field, secret: masked }) => masked === true || field === 'account') && credentials(wanted) };
  },
  result: (wanted, { accounts }, applied) => ({ user: wanted.name, queries: [], password_changed: false, ...(wanted.attributes && { attributes: attributesResult(wanted, accounts) }), ...applied }),
});

function isSalted(plugin: string | undefined): plugin is (typeof SALTED)[number] {
  return (SALTED as readonly (string | undefined)[]).includes(plugin);
}

function attributeChanges({ attributes }: Args, { host, attributes: has }: Account): Change[] {
  return Object.entries(differingAttributes(attributes, has)).map(([name, value]) => ({ field: `${host}: attributes.${name}`, from: has[name] ?? null, to: value ?? null }));
}

/** The attributes as they are, or will be. */
function attributesResult({ attributes, state }: Args, accounts: readonly Account[]): Attributes | null {
  const has = accounts.at(-1)?.attributes ?? {};
  const result = state === 'absent' ? {} : mergedAttributes(has, differingAttributes(attributes, has));
  return Object.keys(result).length > 0 ? result : null;
}

function passwordChanges(wanted: Args, { host, plugin, stored }: Account): Change[] {
  const field = `${host}: password`;
  const change: Change = { field, from: null, to: null, secret: true };
  if (wanted.update_password !== 'always') return [];
  if (wanted.plugin !== undefined) {
    if (wanted.plugin !== plugin) return [{ field: `${host}: plugin`, from: plugin, to: wanted.plugin }];
    if (wanted.plugin_hash_string !== undefined) return wanted.plugin_hash_string === stored ? [] : [change];
    if (wanted.plugin_auth_string === undefined) return [];
    if (wanted.salt !== undefined && isSalted(plugin)) return saltedHash(plugin, wanted.plugin_auth_string, wanted.salt) === stored ? [] : [change];
    return matches(plugin, stored, wanted.plugin_auth_string, wanted.name) ? [] : [change];
  }
  if (wanted.password === undefined) return [];
  if (wanted.encrypted) return stored.toUpperCase() === wanted.password.toUpperCase() ? [] : [change];
  return matches(plugin, stored, wanted.password, wanted.name) ? [] : [change];
}

/** An account that is let in by its socket has no password: giving it one is a change. */
function matches(plugin: string, stored: string, password: string, name: string): boolean {
  if (plugin === 'unix_socket' || plugin === 'auth_socket') return false;
  const same = passwordMatches(plugin, stored, password);
  if (same === undefined)
    throw new ModuleError(`the password of ${name} cannot be compared, since its plugin is ${plugin}; say update_password: on_create, or give plugin and plugin_hash_string`);
  return same;
}

function limitChanges({ resource_limits }: Args, { host, limits }: Account): Change[] {
  return Object.entries(limitsWanted(resource_limits)).flatMap(([name, value]) => (limits[name] === value ? [] : [{ field: `${host}: ${name}`, from: limits[name], to: value }]));
}

/** What is to be added and taken away, table by table. */
function difference(wanted: Args, has: Grants, grants: Grants | undefined): { on: string; add: Set<string>; remove: Set<string> }[] {
  if (grants === undefined) return [];
  const all = new Set([...grants.keys(), ...(wanted.append_privs || wanted.subtract_privs ? [] : has.keys())]);
  return [...all].flatMap((on) => {
    const now = has.get(on) ?? new Set<string>();
    const named = grants.get(on) ?? new Set<string>();
    const missing = new Set([...named].filter((name) => !now.has(name) && !(name !== 'GRANT' && now.has('ALL'))));
    const surplus = new Set([...now].filter((name) => !named.has(name) && !(name !== 'GRANT' && named.has('ALL'))));
    if (wanted.subtract_privs) {
      const taken = new Set([...named].filter((name) => now.has(name)));
      return taken.size > 0 ? [{ on, add: new Set<string>(), remove: taken }] : [];
    }
    // Less than ALL is wanted: ALL goes, and what is wanted of it is granted again.
    const narrowed = !wanted.append_privs && now.has('ALL') && !named.has('ALL');
    const add = narrowed ? new Set([...named].filter((name) => name !== 'GRANT' || !now.has('GRANT'))) : missing;
    const remove = wanted.append_privs ? new Set<string>() : surplus;
    return add.size + remove.size > 0 ? [{ on, add, remove }] : [];
  });
}

function grantChanges(wanted: Args, has: Grants, grants: Grants | undefined, host: string): Change[] {
  return difference(wanted, has, grants).map(({ on, add, remove }) => {
    const now = has.get(on) ?? new Set<string>();
    const after = new Set([...[...now].filter((name) => !remove.has(name)), ...add]);
    return { field: `${host}: priv ${on}`, from: [...now].sort().join(', ') || null, to: [...after].sort().join(', ') || null };
  });
}

function grantStatements(wanted: Args, has: Grants, grants: Grants | undefined, account: Sql, { version }: Dialect): Sql[] {
  return difference(wanted, has, grants).flatMap(({ on, add, remove }) => {
    // MySQL's dynamic privileges (those with an underscore) have the grant option each by itself: it comes and goes with them.
    const own = version.flavor === 'mysql' && on === '*.*' ? [...(has.get(on) ?? [])].filter((name) => !remove.has(name) && (name === 'ALL' || name.includes('_'))) : [];
    const granted = new Set(add);
    if (add.size > 0 && grants!.get(on)?.has('GRANT')) granted.add('GRANT');
    if (add.has('GRANT') || remove.has('GRANT')) for (const name of own) granted.add(name);
    const revoked = new Set([...remove, ...(remove.has('GRANT') ? own : [])]);
    return [...(revoked.size > 0 ? revokes(on, revoked, account) : []), ...(granted.size > 0 ? [grant(on, granted, account)] : [])];
  });
}

/** ALL and the grant option are revoked by statements of their own. */
function revokes(on: string, names: Set<string>, account: Sql): Sql[] {
  if (!names.has('ALL') || !names.has('GRANT')) return [revoke(on, names, account)];
  return [revoke(on, new Set(['ALL']), account), revoke(on, new Set(['GRANT']), account)];
}

async function creation(wanted: Args, session: Session, { wanted: grants, dialect }: Observed): Promise<Sql[]> {
  const account = sql`${wanted.name}@${wanted.host}`;
  let secretPart = identification(wanted, dialect);
  if (wanted.update_password === 'on_new_username') {
    // The same name under another host keeps its password, whatever the playbook says.
    const { rows } = await session.run(sql`SELECT plugin, HEX(authentication_string) AS auth FROM mysql.user WHERE User = ${wanted.name} LIMIT 1`);
    if (rows[0]) secretPart = withHash(dialect, text(rows[0].plugin), Buffer.from(text(rows[0].auth), 'hex').toString('latin1'));
  }
  return [
    joinSql([sql`CREATE USER ${account}`, secretPart, ...clauses(wanted), ...standingClauses(wanted)], ' '),
    ...(wanted.subtract_privs ? [] : grantStatements(wanted, new Map(), grants, account, dialect)),
    ...attributeStatements(account, differingAttributes(wanted.attributes, {})),
  ];
}

function alteration(wanted: Args, account: Account, { wanted: grants, dialect }: Observed, changes: Change[]): Sql[] {
  const name = sql`${wanted.name}@${account.host}`;
  const mine = changes.filter(({ field }) => field.startsWith(`${account.host}: `));
  const identified = mine.some(({ field, secret: masked }) => masked === true || field.endsWith(': plugin')) ? [identification(wanted, dialect)] : [];
  const others = mine.some(({ field }) => field.endsWith('tls_requires') || Object.keys(LIMITS).some((limit) => field.endsWith(limit))) ? clauses(wanted) : [];
  const standing = mine.some(({ field }) => field.endsWith(': locked') || field.endsWith(': password_expire')) ? standingClauses(wanted) : [];
  const altered = [...identified, ...others, ...standing].filter((part) => part.text !== '');
  return [...(altered.length > 0 ? [joinSql([sql`ALTER USER ${name}`, ...altered], ' ')] : []), ...grantStatements(wanted, account.grants, grants, name, dialect), ...attributeStatements(name, differingAttributes(wanted.attributes, account.attributes))];
}

function credentials({ password, plugin }: Args): boolean {
  return password !== undefined || plugin !== undefined;
}

function identification({ password, encrypted, plugin, plugin_hash_string, plugin_auth_string, salt }: Args, dialect: Dialect): Sql {
  if (plugin !== undefined) {
    if (plugin_hash_string !== undefined) return withHash(dialect, plugin, plugin_hash_string);
    if (salt !== undefined && plugin_auth_string !== undefined && isSalted(plugin)) return withHash(dialect, plugin, saltedHash(plugin, plugin_auth_string, salt));
    const by = dialect.version.flavor === 'mysql' ? sql`BY ${hidden(plugin_auth_string ?? '')}` : sql`USING PASSWORD(${hidden(plugin_auth_string ?? '')})`;
    return joinSql([rawSql(dialect.identified.with), word(plugin), plugin_auth_string === undefined ? rawSql('') : by], ' ');
  }
  if (password === undefined) return rawSql('');
  return encrypted ? withHash(dialect, 'mysql_native_password', password) : sql`IDENTIFIED BY ${hidden(password)}`;
}

function withHash({ identified }: Dialect, plugin: string, hash: string): Sql {
  return joinSql([rawSql(identified.with), word(plugin), hash === '' ? rawSql('') : sql`${rawSql(identified.hash)} ${hidden(hash)}`], ' ');
}

function word(plugin: string): Sql {
  if (!/^\w+$/.test(plugin)) throw new ModuleError(`"${plugin}" is not the name of a plugin`);
  return rawSql(plugin);
}

/** REQUIRE and WITH, for CREATE USER and ALTER USER. */
function clauses({ tls_requires, resource_limits }: Args): Sql[] {
  const limits = Object.entries(limitsWanted(resource_limits)).map(([name, value]) => `${name} ${value}`);
  return [tls_requires ? requirement(tlsWanted(tls_requires)) : rawSql(''), rawSql(limits.length > 0 ? `WITH ${limits.join(' ')}` : '')];
}

function requirement(tls: Record<string, string | null>): Sql {
  const parts = Object.entries(tls).map(([name, value]) => (value === null ? rawSql(name) : sql`${rawSql(name)} ${value}`));
  return parts.length === 0 ? sql`REQUIRE NONE` : sql`REQUIRE ${joinSql(parts, ' AND ')}`;
}

function limitsWanted(limits: Record<string, unknown> | undefined): Record<string, number> {
  return Object.fromEntries(
    Object.entries(limits ?? {}).map(([name, value]) => {
      if (!(name.toUpperCase() in LIMITS)) throw new ModuleError(`resource_limits knows no "${name}", only ${Object.keys(LIMITS).join(', ')}`);
      return [name.toUpperCase(), Number(value)];
    }),
  );
}

/** SSL and X509 have no value; what has one makes them needless. */
function tlsWanted(requires: Record<string, unknown>): Record<string, string | null> {
  const tls: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(requires)) {
    const key = name.toUpperCase();
    if (!['NONE', 'SSL', 'X509', 'SUBJECT', 'ISSUER', 'CIPHER'].includes(key)) throw new ModuleError(`tls_requires knows no "${name}", only SSL, X509, SUBJECT, ISSUER and CIPHER`);
    if (key !== 'NONE') tls[key] = key === 'SSL' || key === 'X509' ? null : String(value);
  }
  if ('X509' in tls) delete tls.SSL;
  return tls;
}

function tlsOf(row: Row): Record<string, string | null> {
  switch (text(row.ssl_type)) {
    case 'ANY':
      return { SSL: null };
    case 'X509':
      return { X509: null };
    case 'SPECIFIED':
      return Object.fromEntries(
        [['SUBJECT', text(row.x509_subject)], ['ISSUER', text(row.x509_issuer)], ['CIPHER', text(row.ssl_cipher)]].filter(([, value]) => value !== ''),
      ) as Record<string, string>;
    default:
      return {};
  }
}

function sameTls(a: Record<string, string | null>, b: Record<string, string | null>): boolean {
  const flat = (tls: Record<string, string | null>): string => JSON.stringify(Object.entries(tls).sort());
  return flat(a) === flat(b);
}

/** Some columns of mysql.user are binary. */
function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value ?? '');
}

/** Host names know no case (MySQL manual, "Specifying Account Names"). */
function sameHost(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
