/** A file of the host copied on the host: `copy` with `remote_src`. */
import { join, type Sh } from '../shell/sh.js';
import { octal, type Attributes } from './attributes.js';
import { inspectDestination, parseDestination, type Destination, type Found } from './destination.js';
import { fields, look, seenFields } from './look.js';
import { ModuleError, type Output } from './module.js';
import type { WholeFile } from './whole_file.js';
import { hostPath } from './words.js';

export interface Remote extends Destination, Attributes {
  kind: 'remote';
  src: string;
  force: boolean;
  backup: boolean;
  validate?: string | undefined;
}

const options = { checksum: true, follow: true };

/** umask; kind, path, target; stat; sum. */
const SOURCE_FIELDS = 6;

/** Looks at the source, then at the destination. */
export function inspectRemote(wanted: Remote): Sh {
  return join([look([hostPath(wanted.src)], options), inspectDestination(wanted, { checksum: true })]);
}

export function parseRemote(output: Output, wanted: Remote): Found & { file: WholeFile } {
  const all = fields(output, `looking at ${wanted.src}`);
  const source = seenFields(all.slice(0, SOURCE_FIELDS), 1, `looking at ${wanted.src}`, options).entries[0]!;
  if (source.stat === undefined) throw new ModuleError(`${wanted.src} does not exist on the host`);
  if (source.stat.kind !== 'file') throw new ModuleError(`${wanted.src} on the host is a ${source.stat.kind}; copy with remote_src takes files`);
  const found = parseDestination({ ...output, stdout: all.slice(SOURCE_FIELDS).map((field) => `${field}\0`).join('') }, wanted, { checksum: true });
  const { owner, group, backup, validate } = wanted;
  const mode = wanted.mode === 'preserve' ? octal(source.stat.mode) : wanted.mode;
  const file: WholeFile = {
    owner, group, mode, backup, validate, source: wanted.src,
    content: { host: hostPath(source.path) },
    sha256: source.sha256!,
    text: undefined,
    size: source.stat.size,
    checksum: undefined,
    md5sum: undefined,
  };
  return { ...found, file };
}
