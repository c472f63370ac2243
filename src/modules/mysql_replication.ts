import type { z } from 'zod';
import { defineSession, ModuleError, type Change } from './module.js';
import { connectMysql, loginParams, runAll, type Row, type Session } from './mysql.js';
import { atLeast, type Dialect } from './mysql_dialect.js';
import { hidden, joinSql, rawSql, sql, type Sql } from './mysql_sql.js';
import { bool, choice, int, params, secret, str } from './params.js';

/** The parameter's older name (`master_host`) is understood as well. */
const old = (name: string): { aliases: string[] } => ({ aliases: [name.replace('primary', 'master')] });

const spec = params({
  mode: choice(
    ['getprimary', 'getreplica', 'changeprimary', 'startreplica', 'stopreplica', 'resetprimary', 'resetreplica', 'resetreplicaall'],
    'What is to be told, or to be so.',
  ).default('getreplica'),
  primary_host: str('Where the primary is.').meta({ ...old('primary_host'), description: 'Where the primary is.', title: 'str' }).optional(),
  primary_port: int('Its port.').meta({ ...old('primary_port'), description: 'Its port.', title: 'int' }).optional(),
  primary_user: str('Replication account.').meta({ ...old('primary_user'), description: 'Replication account.', title: 'str' }).optional(),
  primary_password: secret('Its password.').meta({ ...old('primary_password'), description: 'Its password.', title: 'str', secret: true }).optional(),
  primary_connect_retry: int('Seconds between attempts to connect.').meta({ ...old('primary_connect_retry'), description: 'Seconds between attempts to connect.', title: 'int' }).optional(),
  primary_log_file: str('Binary log to begin at; counts only when a primary is set.').meta({ ...old('primary_log_file'), description: 'Binary log to begin at; counts only when a primary is set.', title: 'str' }).optional(),
  primary_log_pos: int('Position in it.').meta({ ...old('primary_log_pos'), description: 'Position in it.', title: 'int' }).optional(),
  relay_log_file: str('Relay log to go on from; counts only when a primary is set.').optional(),
  relay_log_pos: int('Position in it.').optional(),
  primary_ssl: bool('Whether TLS is used.').meta({ ...old('primary_ssl'), description: 'Whether TLS is used.', title: 'bool' }).optional(),
  primary_ssl_ca: str('CA certificate file.').meta({ ...old('primary_ssl_ca'), description: 'CA certificate file.', title: 'str' }).optional(),
  primary_ssl_capath: str('Folder of CA certificates.').meta({ ...old('primary_ssl_capath'), description: 'Folder of CA certificates.', title: 'str' }).optional(),
  primary_ssl_cert: str('Client certificate file.').meta({ ...old('primary_ssl_cert'), description: 'Client certificate file.', title: 'str' }).optional(),
  primary_ssl_key: str('Client key file.').meta({ ...old('primary_ssl_key'), description: 'Client key file.', title: 'str' }).optional(),
  primary_ssl_cipher: str('Ciphers.').meta({ ...old('primary_ssl_cipher'), description: 'Ciphers.', title: 'str' }).optional(),
  primary_ssl_verify_server_cert: bool('Whether the name in the certificate of the primary is checked.').optional(),
  primary_auto_position: bool('GTID positions (MySQL).').meta({ ...old('primary_auto_position'), description: 'GTID positions (MySQL).', title: 'bool' }).optional(),
  primary_use_gtid: choice(['current_pos', 'replica_pos', 'slave_pos', 'disabled'], 'GTID positions (MariaDB).').meta({ ...old('primary_use_gtid'), description: 'GTID positions (MariaDB).', title: 'str' }).optional(),
  primary_delay: int('Seconds the replica stays behind.').meta({ ...old('primary_delay'), description: 'Seconds the replica stays behind.', title: 'int' }).optional(),
  primary_get_public_key: bool('Asks the primary for its public key.')
    .meta({ aliases: ['get_primary_public_key'], description: 'Asks the primary for its public key, which caching_sha2_password needs without TLS (MySQL 8).', title: 'bool' })
    .optional(),
  primary_bind: str('Own address the primary is reached from.').optional(),
  primary_retry_count: int('How often connecting is tried.').optional(),
  primary_ssl_crl: str('File of revoked certificates.').optional(),
  primary_ssl_crlpath: str('Folder of such files.').optional(),
  primary_tls_version: str('TLS versions allowed (MySQL).').optional(),
  primary_public_key_path: str("File that holds the primary's public key (MySQL 8).").optional(),
  connection_name: str('Named connection (MariaDB).').optional(),
  channel: str('Named channel (MySQL).').optional(),
  fail_on_error: bool('Taken for compatibility: an error always fails the task.').default(false),
  ...loginParams,
});
type Args = z.output<typeof spec>;

interface Observed {
  dialect: Dialect;
  /** Undefined where no primary is set. */
  replica: Row | undefined;
  primary: Row | undefined;
  /** MySQL keeps it readable; undefined elsewhere. */
  password: string | undefined;
}

/** Parameter, its option behind MASTER_ or SOURCE_, its column in the status (`%` is Master or Source). */
const OPTIONS: readonly (readonly [keyof Args & `primary_${string}`, string, string])[] = [
  ['primary_host', 'HOST', '%_Host'],
  ['primary_port', 'PORT', '%_Port'],
  ['primary_user', 'USER', '%_User'],
  ['primary_connect_retry', 'CONNECT_RETRY', 'Connect_Retry'],
  ['primary_delay', 'DELAY', 'SQL_Delay'],
  ['primary_ssl', 'SSL', '%_SSL_Allowed'],
  ['primary_ssl_ca', 'SSL_CA', '%_SSL_CA_File'],
  ['primary_ssl_capath', 'SSL_CAPATH', '%_SSL_CA_Path'],
  ['primary_ssl_cert', 'SSL_CERT', '%_SSL_Cert'],
  ['primary_ssl_key', 'SSL_KEY', '%_SSL_Key'],
  ['primary_ssl_cipher', 'SSL_CIPHER', '%_SSL_Cipher'],
  ['primary_ssl_verify_server_cert', 'SSL_VERIFY_SERVER_CERT', '%_SSL_Verify_Server_Cert'],
  ['primary_auto_position', 'AUTO_POSITION', 'Auto_Position'],
  ['primary_use_gtid', 'USE_GTID', 'Using_Gtid'],
  ['primary_get_public_key', 'GET_PUBLIC_KEY', 'Get_%_public_key'],
  ['primary_bind', 'BIND', '%_Bind'],
  ['primary_retry_count', 'RETRY_COUNT', '%_Retry_Count'],
  ['primary_ssl_crl', 'SSL_CRL', '%_SSL_Crl'],
  ['primary_ssl_crlpath', 'SSL_CRLPATH', '%_SSL_Crlpath'],
  ['primary_tls_version', 'TLS_VERSION', '%_TLS_Version'],
  ['primary_public_key_path', 'PUBLIC_KEY_PATH', '%_public_key_path'],
];

/** The primary does not know the account or its password (ER_ACCESS_DENIED_ERROR and its like). */
const DENIED = new Set([1045, 1698]);

export default defineSession<typeof spec, Session, Observed>({
  name: 'mysql_replication',
  summary: 'Looks at replication of a MySQL or MariaDB server, and sets, starts and stops it.',
  params: spec,
  returns: {
    queries: 'The statements that were run, without passwords.',
    Is_Primary: 'getprimary: whether the server writes a binary log.',
    Is_Replica: 'getreplica: whether a primary is set.',
    '*': 'getprimary and getreplica: the columns of the status.',
  },
  examples: [
    '- mysql_replication:\n    mode: changeprimary\n    primary_host: 198.18.0.5\n    primary_user: replica\n    primary_password: "{{ replication_password }}"\n    primary_use_gtid: slave_pos\n- mysql_replication:\n    mode: startreplica\n',
  ],
  connect: (wanted, channel) => connectMysql(wanted, channel),
  close: (session) => session.close(),
  async inspect(wanted, session) {
    const { dialect } = session;
    const name = connectionName(wanted, dialect);
    const look = async (statement: string): Promise<Row | undefined> => (await session.run(rawSql(statement))).rows[0];
    const replica = wanted.mode === 'getprimary' || wanted.mode === 'resetprimary' ? undefined : await replicaStatus(session, name);
    const primary = wanted.mode === 'getprimary' || wanted.mode === 'resetprimary' ? await look(dialect.primaryStatus) : undefined;
    const password = wanted.mode === 'changeprimary' && replica && wanted.primary_password !== undefined ? await storedPassword(session, name) : undefined;
    return { dialect, replica, primary, password };
  },
  compare(wanted, observed) {
    const { replica, dialect } = observed;
    switch (wanted.mode) {
      case 'getprimary':
      case 'getreplica':
        return [];
      case 'changeprimary':
        return optionChanges(wanted, observed);
      case 'startreplica':
        if (!replica) return [{ field: 'threads', from: 'no primary is set', to: 'running' }];
        return dialect.threads.filter((thread) => replica[thread] === 'No').map((thread) => ({ field: thread, from: replica[thread], to: 'Yes' }));
      case 'stopreplica':
        return replica ? dialect.threads.filter((thread) => replica[thread] !== 'No').map((thread) => ({ field: thread, from: replica[thread], to: 'No' })) : [];
      case 'resetreplica':
        // A reset forgets where the replica was; what it was told of the primary stays.
        return replica && `${replica[`${dialect.column}_Log_File`]}` !== '' ? [{ field: 'replica', from: `${replica[`${dialect.column}_Host`]}`, to: 'reset' }] : [];
      case 'resetreplicaall':
        return replica ? [{ field: 'replica', from: `${replica[`${dialect.column}_Host`]}`, to: null }] : [];
      case 'resetprimary':
        return observed.primary && !isFresh(observed.primary, dialect) ? [{ field: 'binary log', from: `${observed.primary.File} ${observed.primary.Position}`, to: 'reset' }] : [];
    }
  },
  async apply(wanted, session, observed, changes) {
    const { dialect, replica } = observed;
    if (wanted.mode === 'startreplica' && !replica) throw new ModuleError('no primary is set, so there is nothing to start; use mode: changeprimary first');
    const name = connectionName(wanted, dialect);
    const say = (statement: string): Sql => rawSql(named(statement, name, dialect));
    const running = replica !== undefined && dialect.threads.some((thread) => replica[thread] !== 'No');
    const stop = running ? [say(dialect.stop)] : [];
    const statements = (): Sql[] => {
      switch (wanted.mode) {
        case 'changeprimary':
          return [...stop, change(wanted, dialect, changes, replica === undefined, name), ...(running ? [say(dialect.start)] : [])];
        case 'startreplica':
          return [say(dialect.start)];
        case 'stopreplica':
          return [say(dialect.stop)];
        case 'resetreplica':
          return [...stop, say(dialect.reset)];
        case 'resetreplicaall':
          return [...stop, say(`${dialect.reset} ALL`)];
        case 'resetprimary':
          return [rawSql(dialect.resetPrimary)];
        default:
          return [];
      }
    };
    return { queries: await runAll(session, statements()) };
  },
  result(wanted, { replica, primary }, applied) {
    if (wanted.mode === 'getprimary') return { Is_Primary: primary !== undefined, ...primary, queries: [] };
    if (wanted.mode === 'getreplica') return { Is_Replica: replica !== undefined, ...replica, queries: [] };
    return { queries: [], ...applied };
  },
});

function connectionName({ connection_name, channel }: Args, { version }: Dialect): string | undefined {
  const name = version.flavor === 'mariadb' ? connection_name : channel;
  if ((version.flavor === 'mariadb' ? channel : connection_name) !== undefined)
    throw new ModuleError(version.flavor === 'mariadb' ? 'MariaDB has connection_name, not channel' : 'MySQL has channel, not connection_name');
  if (name !== undefined && !/^[\w.-]+$/.test(name)) throw new ModuleError(`"${name}" cannot name a replication connection`);
  return name;
}

function named(statement: string, name: string | undefined, dialect: Dialect): string {
  return name === undefined ? statement : dialect.named(statement, name);
}

function optionChanges(wanted: Args, { dialect, replica, password }: Observed): Change[] {
  const changes: Change[] = [];
  for (const [parameter, , column] of OPTIONS) {
    const value = wanted[parameter];
    if (value === undefined) continue;
    const present = replica?.[column.replace('%', dialect.column)];
    if (replica === undefined || normal(typeof value === 'boolean' ? flag(present) : present) !== normal(value)) changes.push({ field: parameter, from: replica === undefined ? null : present, to: value });
  }
  const moved = changes.some(({ field }) => field === 'primary_host' || field === 'primary_port');
  // Where reading began is told by no server; where it is now moves on by itself.
  if (moved) for (const field of ['primary_log_file', 'primary_log_pos', 'relay_log_file', 'relay_log_pos'] as const) if (wanted[field] !== undefined) changes.push({ field, from: null, to: wanted[field] });
  if (wanted.primary_password !== undefined) {
    const denied = DENIED.has(Number(replica?.Last_IO_Errno));
    if (replica === undefined || moved || denied || (password !== undefined && password !== wanted.primary_password)) changes.push({ field: 'primary_password', from: null, to: null, secret: true });
  }
  return changes;
}

/** Only what differs is said: naming host or port again would make the server forget its position. */
function change(wanted: Args, { change: words, option, version }: Dialect, changes: Change[], fresh: boolean, name: string | undefined): Sql {
  const parts = changes.map(({ field }): Sql => {
    if (field === 'primary_password') return sql`${rawSql(`${option}_PASSWORD`)} = ${hidden(wanted.primary_password!)}`;
    if (field === 'primary_log_file') return sql`${rawSql(`${option}_LOG_FILE`)} = ${wanted.primary_log_file!}`;
    if (field === 'primary_log_pos') return sql`${rawSql(`${option}_LOG_POS`)} = ${wanted.primary_log_pos!}`;
    if (field === 'relay_log_file') return sql`RELAY_LOG_FILE = ${wanted.relay_log_file!}`;
    if (field === 'relay_log_pos') return sql`RELAY_LOG_POS = ${wanted.relay_log_pos!}`;
    const [parameter, suffix] = OPTIONS.find(([parameter]) => parameter === field)!;
    const value = wanted[parameter]!;
    if (parameter === 'primary_use_gtid') return rawSql(`${option}_USE_GTID = ${normal(value)}`);
    if (parameter === 'primary_get_public_key') {
      if (version.flavor !== 'mysql' || !atLeast(version, 8)) throw new ModuleError(`this server (${version.text}) knows no primary_get_public_key`);
      return sql`${rawSql(option === 'SOURCE' ? 'GET_SOURCE_PUBLIC_KEY' : 'GET_MASTER_PUBLIC_KEY')} = ${value ? 1 : 0}`;
    }
    return sql`${rawSql(`${option}_${suffix}`)} = ${typeof value === 'boolean' ? (value ? 1 : 0) : value}`;
  });
  if (fresh && wanted.primary_host === undefined) throw new ModuleError('no primary is set yet: primary_host is needed');
  const statement = version.flavor === 'mariadb' && name !== undefined ? words.replace('MASTER', `MASTER '${name}'`) : words;
  return sql`${rawSql(statement)} ${joinSql(parts, ', ')}${rawSql(version.flavor === 'mysql' && name !== undefined ? ` FOR CHANNEL '${name}'` : '')}`;
}

/** Both fail when asked for a named connection that is not there, so all are asked for. */
async function replicaStatus({ dialect, run }: Session, name = ''): Promise<Row | undefined> {
  if (dialect.version.flavor === 'mysql') return (await run(rawSql(dialect.replicaStatus))).rows.find((row) => (row.Channel_Name ?? '') === name);
  if (name === '') return (await run(rawSql(dialect.replicaStatus))).rows[0];
  return (await run(sql`SHOW ALL SLAVES STATUS`)).rows.find((row) => row.Connection_name === name);
}

/** MySQL keeps the replication password in a table of its own, open to root only. */
async function storedPassword({ dialect, run }: Session, name: string | undefined): Promise<string | undefined> {
  if (dialect.version.flavor !== 'mysql') return undefined;
  const { rows } = await run(sql`SELECT User_password AS password FROM mysql.slave_master_info WHERE Channel_name = ${name ?? ''}`).catch(() => ({ rows: [] as Row[] }));
  return rows[0]?.password === undefined || rows[0].password === null ? undefined : String(rows[0].password);
}

/** A binary log as it is after a reset: the first file, with nothing but its own header (MySQL's is shorter). */
function isFresh({ File, Position, Executed_Gtid_Set }: Row, { version }: Dialect): boolean {
  return /\.0*1$/.test(String(File)) && Number(Position) < (version.flavor === 'mysql' ? 200 : 400) && !Executed_Gtid_Set;
}

/** Some columns say Yes, others 1. */
function flag(present: unknown): boolean {
  return /^(yes|1|true)$/i.test(String(present));
}

/** Parameter values and the columns of the status in one spelling. */
function normal(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  const text = String(value ?? '').toLowerCase();
  if (text === 'replica_pos') return 'slave_pos';
  if (text === 'disabled') return 'no';
  return text;
}
