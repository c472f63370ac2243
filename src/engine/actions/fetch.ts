import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ModuleError } from '../../modules/module.js';
import { hostPath } from '../../modules/words.js';
import { sh } from '../../shell/sh.js';
import { isCheck, type Call } from '../call.js';
import { wayOf } from '../job.js';
import { outcome, type Outcome } from '../outcome.js';
import { behindAPlan, inspectionOf } from '../perform.js';
import { parsedArguments } from './say.js';

/** Copies a file of the host to the controller, whole or not at all. */
export async function fetch(call: Call): Promise<Outcome> {
  const { args } = await parsedArguments(call);
  const { frame } = call;
  const { machine, way, name } = wayOf(call);
  const check = isCheck(call);
  const refuse = (message: string, fields: { [key: string]: unknown }) => behindAPlan({ check, machine }, new ModuleError(message, fields));
  const written = String(args.src);
  // A home folder is the host's: what `~` came to stands before the content.
  const answer = await machine.ask(way, inspectionOf(way, sh`f=${hostPath(written)}; printf '%s\\000' "$f"; if [ -d "$f" ]; then exit 21; fi; if [ ! -e "$f" ]; then exit 2; fi; base64 < "$f"`), async () => []);
  const [expanded = '', encoded = ''] = answer.stdout.split('\0');
  const source = written.startsWith('~') && expanded !== '' ? expanded : written;
  if (answer.rc === 2) {
    if (args.fail_on_missing) throw refuse(`there is no file ${source} on ${name}`, { file: source });
    return outcome({ changed: false, msg: `there is no file ${source}, ignored`, file: source });
  }
  if (answer.rc === 21) throw refuse(`${source} is a folder; fetch copies files`, { file: source });
  if (answer.rc !== 0) throw refuse(`cannot read ${source}`, { ...answer });
  const content = Buffer.from(encoded, 'base64');
  const dest = place(path.resolve(frame.play.play.baseDir, String(args.dest)), String(args.dest), source, name, args.flat === true);
  const checksum = createHash('sha1').update(content).digest('hex');
  const returns = { dest, file: source, checksum, remote_checksum: checksum, md5sum: createHash('md5').update(content).digest('hex') };
  let present: Buffer | undefined;
  try {
    present = readFileSync(dest);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ModuleError(`cannot read ${dest}: ${(error as Error).message}`);
  }
  if (present?.equals(content)) return outcome({ ...returns, changed: false });
  if (!isCheck(call)) {
    mkdirSync(path.dirname(dest), { recursive: true });
    const half = `${dest}.${process.pid}.part`;
    writeFileSync(half, content);
    renameSync(half, dest);
  }
  return outcome({ ...returns, changed: true }, { changes: [{ field: dest, from: present ? 'other content' : 'absent', to: `a copy of ${name}:${source}`, diff: undefined, secret: false }] });
}

/** `flat` puts the file itself (or into a folder, after a slash); otherwise below the host's name, with its whole path. */
function place(dest: string, written: string, source: string, host: string, flat: boolean): string {
  if (!flat) return path.join(dest, host, source);
  let folder = written.endsWith('/');
  try {
    folder ||= statSync(dest).isDirectory();
  } catch {
    // Not there yet: a file of that name is made.
  }
  return folder ? path.join(dest, path.basename(source)) : dest;
}
