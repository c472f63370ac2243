/** Dumping and importing databases with the host's own mysqldump and mysql: what mysql_db's states of that name do. */
import { text } from 'node:stream/consumers';
import { join, raw, sh } from '../shell/sh.js';
import { ModuleError, type Channel } from './module.js';
import { checksName, isLocal, optionFile, usesTls, type Login, type Session } from './mysql.js';
import { bool, int, list, path, str } from './params.js';
import { hostPath, splitWords } from './words.js';

export const dumpParams = {
  target: path('The file of the dump, for dump and import; by .gz, .bz2, .xz and .zst it is compressed.').optional(),
  single_transaction: bool('Dumps all tables as they are at one moment.').default(false),
  quick: bool('Dumps row by row.').default(true),
  ignore_tables: list('Tables that are not dumped: database.table.').default([]),
  hex_blob: bool('Dumps binary columns in hexadecimal.').default(false),
  force: bool('Goes on behind errors.').default(false),
  master_data: int('Tells the position in the binary log: 1 as a statement, 2 as a comment.').refine((value) => [0, 1, 2].includes(value), { message: '0, 1 or 2' }).default(0),
  skip_lock_tables: bool('Locks no tables.').default(false),
  dump_extra_args: str('Further arguments of mysqldump.').optional(),
  restrict_config_file: bool('Reads no settings but those of config_file.').default(false),
  chdir: path('Folder that target is relative to.').optional(),
  use_shell: bool('Taken for compatibility.').default(false),
  pipefail: bool('Taken for compatibility: a dump that fails fails the task.').default(true),
  unsafe_login_password: bool('Taken for compatibility: the password is on no command line.').default(false),
};

interface Wanted extends Login {
  state: string;
  name: string[];
  encoding: string;
  target?: string | undefined;
  single_transaction: boolean;
  quick: boolean;
  ignore_tables: string[];
  hex_blob: boolean;
  force: boolean;
  master_data: number;
  skip_lock_tables: boolean;
  dump_extra_args?: string | undefined;
  restrict_config_file: boolean;
  chdir?: string | undefined;
}

export const isAll = ({ name }: Pick<Wanted, 'name'>): boolean => name.length === 1 && name[0] === 'all';

const PACKERS: { [ending: string]: string } = { gz: 'gzip', bz2: 'bzip2', xz: 'xz', zst: 'zstd' };

/**
 * Makes the dump, or reads it in. The password goes by a pipe: it is on no command line and no disk.
 * @returns what was run, without the password
 * @throws ModuleError with what the program said
 */
export async function transfer(wanted: Wanted, { dialect }: Session, channel: Channel): Promise<string> {
  const isMariadb = dialect.version.flavor === 'mariadb';
  const isDump = wanted.state === 'dump';
  const [old, own] = isDump ? ['mysqldump', 'mariadb-dump'] : ['mysql', 'mariadb'];
  const words = [...tlsWords(wanted, isMariadb), ...(isDump ? dumpWords(wanted, isMariadb) : importWords(wanted))];
  const packer = PACKERS[/\.(\w+)$/.exec(wanted.target!)?.[1] ?? ''];
  const target = hostPath(wanted.target!);
  const run = sh`$c "$@" ${words}`;
  const work = isDump
    ? sh`r=$({ { ${run} 2>&6; echo $? >&5; } | ${packer ?? 'cat'} >"$t.part" 2>&6 || echo 1 >&5; } 5>&1 6>&2)
if [ "$r" = 0 ]; then mv -- "$t.part" "$t"; else rm -f -- "$t.part"; false; fi`
    : packer === undefined ? sh`${run} <"$t"` : sh`r=$({ { ${packer} -dc -- "$t" 2>&6 || echo $? >&5; } | ${run} >&6 2>&6 || echo $? >&5; } 5>&1 6>&2)
[ -z "$r" ]`;
  const { login_password: password, login_user } = wanted;
  const settings = optionFile(wanted);
  const files = tlsFiles(wanted);
  const script = sh`exec 2>&1
p=$(cat)
printf '%s\\n' "$p" | (
exec 3<&0 </dev/null
${wanted.chdir === undefined ? raw(':') : sh`cd -- ${hostPath(wanted.chdir)} || exit`}
t=${target}
${isDump ? raw(':') : sh`[ -e "$t" ] || { printf '%s\\n' ${`target ${wanted.target!} does not exist on the host`}; exit 1; }`}
c=${old!}
${isMariadb ? sh`! command -v ${own!} >/dev/null || c=${own!}` : raw(':')}
command -v "$c" >/dev/null || { echo "Failed to find required executable $c"; exit 1; }
${files.length > 0 ? join(files.map(([name, file]) => sh`${raw(`ssl_${name}=`)}${hostPath(file)}`)) : raw(':')}
set --
${password !== undefined ? raw('set -- --defaults-extra-file=/dev/fd/3; export HOME=/nonexistent') : sh`[ ! -r ${settings} ] || set -- --defaults-${raw(wanted.restrict_config_file ? 'file' : 'extra-file')}=${settings}`}
${login_user === undefined ? raw(':') : sh`set -- "$@" --user=${login_user}`}
${files.length > 0 ? raw(`set -- "$@" ${files.map(([name]) => `--ssl-${name}="$ssl_${name}"`).join(' ')}`) : raw(':')}
${work}
); echo "@muster $?"`;
  const stream = await channel.program(script);
  stream.end(password === undefined ? '' : `[client]\npassword="${password.replace(/[\\"]/g, '\\$&')}"\n`);
  const said = await text(stream);
  const [, output, rc] = /^([\s\S]*)@muster (\d+)\n$/.exec(said) ?? [];
  const shown = [old!, ...files.map(([name, file]) => `--ssl-${name}=${file}`), ...words].join(' ') + (isDump ? ` > ${wanted.target!}` : ` < ${wanted.target!}`);
  if (rc !== '0') throw new ModuleError((output ?? said).trim() || `${old!} ended early`, { rc: Number(rc ?? 1), cmd: shown });
  return shown;
}

/** A port, even the usual one, would keep MariaDB's programs from the socket. */
function serverWords({ login_unix_socket, login_host, login_port }: Wanted): string[] {
  if (login_unix_socket === undefined && isLocal(login_host)) return [];
  return login_unix_socket !== undefined ? [`--socket=${login_unix_socket}`] : [`--host=${login_host}`, `--port=${login_port}`];
}

/** TLS as Muster's own login uses it: encrypted without fail, and checked as much. */
function tlsWords(wanted: Wanted, isMariadb: boolean): string[] {
  if (!usesTls(wanted)) return [];
  if (isMariadb) return ['--ssl', `--${checksName(wanted) ? '' : 'skip-'}ssl-verify-server-cert`];
  return [`--ssl-mode=${checksName(wanted) ? 'VERIFY_IDENTITY' : wanted.ca_cert === undefined ? 'REQUIRED' : 'VERIFY_CA'}`];
}

/** The files of TLS, by the name of their option behind `--ssl-`. */
function tlsFiles({ ca_cert, client_cert, client_key }: Wanted): [name: string, file: string][] {
  const files = { ca: ca_cert, cert: client_cert, key: client_cert === undefined ? undefined : client_key ?? client_cert };
  return Object.entries(files).filter((each): each is [string, string] => each[1] !== undefined);
}

function dumpWords(wanted: Wanted, isMariadb: boolean): string[] {
  const { name, encoding, ignore_tables, master_data, dump_extra_args } = wanted;
  return [
    ...serverWords(wanted), ...(wanted.force ? ['--force'] : []), ...(wanted.skip_lock_tables ? ['--skip-lock-tables'] : []), ...(encoding === '' ? [] : [`--default-character-set=${encoding}`]),
    ...(wanted.single_transaction ? ['--single-transaction=true'] : []), ...(wanted.quick ? ['--quick'] : []), ...ignore_tables.map((table) => `--ignore-table=${table}`),
    ...(wanted.hex_blob ? ['--hex-blob'] : []), ...(master_data === 0 ? [] : [`--${isMariadb ? 'master' : 'source'}-data=${master_data}`]),
    ...(dump_extra_args === undefined ? [] : splitWords(dump_extra_args)), ...(isAll(wanted) ? ['--all-databases'] : name.length > 1 ? ['--databases', ...name] : name),
  ];
}

function importWords(wanted: Wanted): string[] {
  return [
    ...serverWords(wanted), ...(wanted.force ? ['--force'] : []), ...(wanted.encoding === '' ? [] : [`--default-character-set=${wanted.encoding}`]),
    ...(isAll(wanted) ? [] : ['--one-database', wanted.name[0]!]),
  ];
}
