import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path/posix';
import { join, sh, type Sh } from '../shell/sh.js';
import { ModuleError, type Controller } from './module.js';
import { hostPath } from './words.js';

/** What stands behind a name of a form: a text, or a file. */
interface FileField {
  filename?: string | undefined;
  content?: string | undefined;
  mime_type?: string | undefined;
  multipart_encoding?: 'base64' | '7or8bit' | undefined;
}

/** A body of type multipart/form-data (RFC 7578). */
export interface Multipart {
  /** Its Content-Type, with the boundary. */
  type: string;
  /** What it is made of; files of the host are put in there. */
  pieces: (Buffer | { file: string; isEncoded: boolean })[];
}

/** Types by the end of a name, where the task says none: those that Python's mimetypes knows and forms carry. */
const TYPES: { [end: string]: string } = {
  '.bin': 'application/octet-stream', '.bmp': 'image/bmp', '.css': 'text/css', '.csv': 'text/csv', '.doc': 'application/msword', '.gif': 'image/gif', '.htm': 'text/html', '.html': 'text/html',
  '.jpeg': 'image/jpeg', '.jpg': 'image/jpeg', '.js': 'text/javascript', '.json': 'application/json', '.mp3': 'audio/mpeg', '.mp4': 'video/mp4', '.pdf': 'application/pdf', '.png': 'image/png', '.py': 'text/x-python',
  '.sh': 'application/x-sh', '.svg': 'image/svg+xml', '.tar': 'application/x-tar', '.tgz': 'application/x-tar', '.tiff': 'image/tiff', '.txt': 'text/plain', '.wasm': 'application/wasm', '.webp': 'image/webp', '.xls': 'application/vnd.ms-excel', '.xml': 'text/xml', '.zip': 'application/zip',
};

const typeOf = (name: string): string => TYPES[extname(name.replace(/\.(?:gz|bz2|xz)$/i, '')).toLowerCase()] ?? 'application/octet-stream';
const inQuotes = (text: string): string => `"${text.replace(/[\r\n]/g, ' ').replace(/["\\]/g, '\\$&')}"`;
const lines = (text: string): string => text.replace(/\r\n|\r|\n/g, '\r\n');

/**
 * Writes the fields of a form, sorted, as Ansible does: a file is sent in base64 unless `multipart_encoding` is 7or8bit.
 * @param fields name -> a text, or a dict with filename, content, mime_type, multipart_encoding
 * @param isOnHost whether the files are on the host; else of the project
 * @throws ModuleError for a field that is neither; ContentError where a file of the project is not found
 */
export async function multipart(fields: { [name: string]: unknown }, isOnHost: boolean, controller: Controller): Promise<Multipart> {
  const boundary = `===============${BigInt(`0x${randomBytes(8).toString('hex')}`)}==`;
  const pieces: Multipart['pieces'] = [];
  for (const name of Object.keys(fields).sort()) {
    const field = fieldOf(name, fields[name]);
    const isFile = !field.content && field.filename !== undefined;
    const isEncoded = isFile && field.multipart_encoding !== '7or8bit';
    const head = [
      `--${boundary}`,
      ...(isFile ? [`Content-Transfer-Encoding: ${isEncoded ? 'base64' : '8bit'}`] : []),
      `Content-Type: ${field.mime_type || typeOf(field.filename ?? '')}`,
      `Content-Disposition: form-data; name=${inQuotes(name)}${field.filename === undefined ? '' : `; filename=${inQuotes(basename(field.filename))}`}`,
    ];
    pieces.push(Buffer.from(`${head.join('\r\n')}\r\n\r\n${isFile ? '' : lines(field.content!)}`));
    if (isFile && isOnHost) pieces.push({ file: field.filename!, isEncoded });
    else if (isFile) {
      const content = await readFile(await controller.find(field.filename!, 'files'));
      pieces.push(isEncoded ? Buffer.from(content.toString('base64').replace(/.{1,76}/g, '$&\r\n')) : content);
    }
    pieces.push(Buffer.from('\r\n'));
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return { type: `multipart/form-data; boundary="${boundary}"`, pieces };
}

function fieldOf(name: string, value: unknown): FileField {
  const wrong = (what: string): ModuleError => new ModuleError(`failed to parse body as form-multipart: ${name}: ${what}`);
  if (typeof value === 'string') return { content: value, mime_type: 'text/plain' };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`value must be a string, or mapping, cannot be ${JSON.stringify(value)}`);
  const field = value as FileField;
  for (const each of ['filename', 'content', 'mime_type'] as const) if (field[each] !== undefined && typeof field[each] !== 'string') throw wrong(`${each} must be a string`);
  if (/[\r\n]/.test(field.mime_type ?? '')) throw wrong('mime_type must be one line');
  if (!field.filename && !field.content) throw wrong('at least one of filename or content must be provided');
  if (!['base64', '7or8bit', undefined].includes(field.multipart_encoding)) throw wrong(`multipart_encoding must be one of base64 or 7or8bit`);
  return { ...field, filename: field.filename || undefined };
}

/** Whether a part of it is on the host. */
export const isOnHost = ({ pieces }: Multipart): boolean => pieces.some((piece) => !Buffer.isBuffer(piece));

/** All of it, where nothing of it is on the host. */
export const whole = ({ pieces }: Multipart): Buffer => Buffer.concat(pieces.filter((piece) => Buffer.isBuffer(piece)));

/** A command that writes it. @returns it, and one that fails where a file of it cannot be read */
export function written({ pieces }: Multipart): { body: Sh; check: Sh } {
  const files = pieces.flatMap((piece) => (Buffer.isBuffer(piece) ? [] : [piece.file]));
  return {
    body: sh`{ ${join(pieces.map((piece) => {
      if (Buffer.isBuffer(piece)) return sh`printf %s ${piece.toString()}`;
      return piece.isEncoded ? sh`base64 <${hostPath(piece.file)} | sed "s/\\$/$(printf '\\r')/"` : sh`cat <${hostPath(piece.file)}`;
    }), '; ')}; }`,
    check: join(files.map((file) => sh`[ -r ${hostPath(file)} ] || { echo ${`cannot read ${file}`} >&2; exit 1; }`)),
  };
}
