import { isUtf8 } from 'node:buffer';
import { Duplex } from 'node:stream';
import { authPlugins } from 'mysql2';
import mysql, { type Connection as MysqlConnection } from 'mysql2/promise';
import { sh, type Sh } from '../shell/sh.js';
import { ModuleError, type Channel } from './module.js';
import { dialect, parseVersion, type Dialect } from './mysql_dialect.js';
import { id, sql, type Sql } from './mysql_sql.js';
import { bool, dict, int, path, secret, str } from './params.js';
import { hostPath } from './words.js';

/** What the mysql modules share: logging in through the host's connection, and statements whose secrets stay hidden. */
export const loginParams = {
  login_user: str('Account to log in with; without it [client] of config_file is read, then root.').optional(),
  login_password: secret('Its password.').optional(),
  login_host: str('Host of the server as seen from the managed host.').default('localhost'),
  login_port: int('TCP port of the server, where no socket is used.').default(3306),
  login_unix_socket: path('Socket of the server; found by itself for localhost.').optional(),
  config_file: path('Option file on the host whose [client] section is read.').default('~/.my.cnf'),
  connect_timeout: int('Seconds until a login is given up.').default(30),
  ca_cert: path("File on the host with the authority that the server's certificate must come from. With one of these four TLS is used, by a socket too.").meta({ aliases: ['ssl_ca'] }).optional(),
  client_cert: path('File on the host with a certificate that is shown to the server.').meta({ aliases: ['ssl_cert'] }).optional(),
  client_key: path('File on the host with the key of client_cert, where that file does not hold it.').meta({ aliases: ['ssl_key'] }).optional(),
  check_hostname: bool('Whether the certificate must name login_host (localhost, by a socket): so with ca_cert, unless said otherwise. Without ca_cert nothing is checked.').optional(),
};

export interface Login {
  login_user?: string | undefined;
  login_password?: string | undefined;
  login_host: string;
  login_port: number;
  login_unix_socket?: string | undefined;
  config_file: string;
  connect_timeout: number;
  ca_cert?: string | undefined;
  client_cert?: string | undefined;
  client_key?: string | undefined;
  check_hostname?: boolean | undefined;
}

export type Row = Record<string, unknown>;

export interface Answer {
  /** Rows of a statement that has a result set. */
  rows: Row[];
  affected: number;
}

/** A login to a server. */
export interface Session {
  dialect: Dialect;
  /** @throws ModuleError naming the statement with its secrets masked */
  run(statement: Sql): Promise<Answer>;
  close(): Promise<void>;
}

export const sessionVars = dict('Variables of the session that are set before anything else.').optional();

/** Sets variables of a session. @throws ModuleError where the server has none of that name, or takes another value; the session is over then */
export async function setSession(session: Session, variables: Record<string, unknown> = {}): Promise<Session> {
  try {
    for (const [name, value] of Object.entries(variables)) {
      await session.run(sql`SET SESSION ${id(name)} = ${typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : String(value)}`);
    }
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Where distributions put the socket (Debian, Red Hat, upstream). */
const SOCKETS = ['/run/mysqld/mysqld.sock', '/var/run/mysqld/mysqld.sock', '/var/lib/mysql/mysql.sock', '/tmp/mysql.sock'];

/** @throws ModuleError when the server cannot be reached or does not let the account in */
export async function connectMysql(login: Login, channel: Channel, database?: string): Promise<Session> {
  const found = await look(login, channel);
  const client = login.login_user === undefined ? found.client : {};
  const socket = login.login_unix_socket ?? (isLocal(login.login_host) ? client.socket ?? (client.host === undefined || isLocal(client.host) ? found.socket : undefined) : undefined);
  const host = isLocal(login.login_host) ? client.host ?? '127.0.0.1' : login.login_host;
  const port = login.login_port !== 3306 ? login.login_port : Number(client.port ?? 3306);
  const where = socket === undefined ? { host: isLocal(host) ? '127.0.0.1' : host, port } : { socket };
  const user = login.login_user ?? client.user ?? 'root';
  const ssl = await tls(login, channel);
  const name = socket !== undefined ? 'localhost' : host;
  const stream = await channel.open(where).catch((error: Error & { kind?: string; remedy?: string }) => {
    // The host is there, its server is not: the task fails, and the host is not unreachable.
    if (error.kind === 'refused') throw new ModuleError(`${error.message}${error.remedy ? `; ${error.remedy}` : ''}`);
    throw error;
  });
  // Where mysql2 names no server, which it does only by name, Node checks the certificate against the stream's host: so addresses are checked too.
  if (ssl) Object.assign(stream, { _host: name });
  try {
    const connection = await mysql.createConnection({
      stream,
      ...(ssl && { ssl, host: name }),
      user,
      password: login.login_password ?? client.password ?? '',
      ...(database !== undefined && { database }),
      connectTimeout: login.connect_timeout * 1000,
      charset: 'utf8mb4',
      dateStrings: true,
      jsonStrings: true,
      typeCast,
      // A row that has the values already does not count as changed.
      flags: ['-FOUND_ROWS'],
      authPlugins: {
        // The server knows who is behind its socket, and asks for nothing.
        auth_socket: () => () => Buffer.alloc(0),
        unix_socket: () => () => Buffer.alloc(0),
        // By its socket or TLS the server takes the password itself and offers no key; by TCP the password is encrypted with one.
        caching_sha2_password: authPlugins.caching_sha2_password({ overrideIsSecure: socket !== undefined || ssl !== undefined }),
      },
    } as mysql.ConnectionOptions);
    connection.on('error', () => undefined);
    return await begin(connection, stream);
  } catch (error) {
    stream.destroy();
    if (error instanceof ModuleError) throw error;
    const at = socket ?? `${host}:${port}`;
    throw new ModuleError(`cannot log in to the server at ${at} as ${user}: ${(error as Error).message}`, { errno: (error as { errno?: number }).errno });
  }
}

/** Values as playbooks know them: integers exact, binary as text, or as the server's own client shows what is none. */
function typeCast(field: { type: string; string(): string | null }, next: () => unknown): unknown {
  if (field.type === 'LONGLONG') {
    const digits = field.string();
    return digits === null ? null : Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
  }
  const value = next();
  return Buffer.isBuffer(value) ? (isUtf8(value) ? value.toString() : `0x${value.toString('hex').toUpperCase()}`) : value;
}

async function begin(connection: MysqlConnection, stream: Duplex): Promise<Session> {
  const [rows] = await connection.query('SELECT VERSION() AS version');
  const { version } = (rows as { version: string }[])[0]!;
  return {
    dialect: dialect(parseVersion(version)),
    async run(statement) {
      try {
        const [result] = await connection.query(statement.text);
        if (!Array.isArray(result)) return { rows: [], affected: (result as { affectedRows: number }).affectedRows };
        // CALL gives a list of result sets; as in Ansible, the first counts.
        const rows = (Array.isArray(result[0]) ? result[0] : result) as Row[];
        return { rows, affected: rows.length };
      } catch (error) {
        const { errno, sqlState, sqlMessage, message } = error as { errno?: number; sqlState?: string; sqlMessage?: string; message: string };
        let said = sqlMessage ?? message;
        // A syntax error shows the statement from where it went wrong.
        for (const value of statement.secrets) said = said.replaceAll(value, '********');
        throw new ModuleError(`${said} (${errno ?? 'no error number'}); the statement was: ${statement.shown}`, { errno, sqlstate: sqlState, query: statement.shown });
      }
    },
    async close() {
      await connection.end().catch(() => undefined);
      stream.destroy();
    },
  };
}

/** What the host has: a server's socket, and the [client] section of its option file. */
async function look(login: Login, channel: Channel): Promise<{ socket: string | undefined; client: Record<string, string> }> {
  const { login_user, login_unix_socket, login_host } = login;
  if (login_user !== undefined && (login_unix_socket !== undefined || !isLocal(login_host))) return { socket: undefined, client: {} };
  const file = optionFile(login);
  const output = await channel.ask(
    sh`for s in ${SOCKETS}; do if [ -S "$s" ]; then printf '%s\n' "$s"; break; fi; done; echo
if [ -r ${file} ]; then cat ${file}; fi`,
  );
  if (output.rc !== 0) throw new ModuleError(`cannot look for the server's socket: ${output.stderr.trim()}`, { rc: output.rc });
  const [socket, ...rest] = output.stdout.split('\n');
  return { socket: socket || undefined, client: clientSection(rest.join('\n')) };
}

/** Whether TLS is asked for. (Ansible: by any of these parameters, check_hostname too.) */
export function usesTls({ ca_cert, client_cert, client_key, check_hostname }: Login): boolean {
  return ca_cert !== undefined || client_cert !== undefined || client_key !== undefined || check_hostname !== undefined;
}

/** Whether the name in the server's certificate counts; without an authority there is nothing to check it by (PyMySQL). */
export function checksName({ ca_cert, check_hostname }: Login): boolean {
  return ca_cert !== undefined && check_hostname !== false;
}

/** What TLS takes, its files read on the host. @throws ModuleError where one cannot be read */
async function tls(login: Login, channel: Channel): Promise<mysql.SslOptions | undefined> {
  if (!usesTls(login)) return undefined;
  const { ca_cert, client_cert, client_key } = login;
  const read = async (file: string | undefined): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    const output = await channel.ask(sh`cat -- ${hostPath(file)}`);
    if (output.rc !== 0) throw new ModuleError(`cannot read ${file} for TLS to the server: ${output.stderr.trim()}`, { rc: output.rc });
    return output.stdout;
  };
  const [ca, cert, key] = await Promise.all([read(ca_cert), read(client_cert), client_cert === undefined ? undefined : read(client_key)]);
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert, key: key ?? cert }), rejectUnauthorized: ca !== undefined, verifyIdentity: checksName(login) };
}

/** A login with host and port of [client] in place of its own, where its option file has them. */
export async function overridden<T extends Login>(login: T, channel: Channel): Promise<T> {
  const output = await channel.ask(sh`f=${optionFile(login)}; if [ -e "$f" ]; then cat -- "$f"; fi`);
  if (output.rc !== 0) throw new ModuleError(`cannot read ${login.config_file}: ${output.stderr.trim()}`, { rc: output.rc });
  const { host = login.login_host, port = String(login.login_port) } = clientSection(output.stdout);
  if (!/^\d+$/.test(port)) throw new ModuleError(`the port in [client] of ${login.config_file} is no number: ${port}`);
  return { ...login, login_host: host, login_port: Number(port) };
}

/** The option file, as a word of shell. */
export function optionFile({ config_file }: Login): Sh {
  return config_file.startsWith('~/') ? sh`"$HOME"/${config_file.slice(2)}` : sh`${config_file}`;
}

/** The options of [client] in an option file (MySQL manual, "Using Option Files"). */
export function clientSection(text: string): Record<string, string> {
  const options: Record<string, string> = {};
  let section = '';
  for (const line of text.split('\n')) {
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    if (header) section = header[1]!.trim();
    const option = /^([\w-]+)\s*=\s*(?!\s)(.*)$/.exec(line.trim());
    if (section !== 'client' || !option) continue;
    const value = /^(["'])(.*)\1$/.exec(option[2]!)?.[2] ?? option[2]!;
    options[option[1]!.replaceAll('-', '_')] = value;
  }
  return options;
}

export function isLocal(host: string): boolean {
  return host === 'localhost' || host === '';
}

/** Runs statements in order. @returns them as they may be shown */
export async function runAll(session: Session, statements: readonly Sql[]): Promise<string[]> {
  for (const statement of statements) await session.run(statement);
  return statements.map(({ shown }) => shown);
}

/** Keeps what follows out of the binary log. */
export const SKIP_BINLOG = sql`SET SESSION sql_log_bin = 0`;
