/** `diff` of the module file. */
import { sh, type Sh } from '../shell/sh.js';
import { partsOf } from './attributes.js';
import type { Entry } from './look.js';
import type { Change, TextDiff } from './module.js';
import { hostPath } from './words.js';

/** Prints all that is in a folder, a path a line, folders with a slash behind; nothing for what is no folder. */
export function listing(path: string): Sh {
  const root = hostPath(path);
  return sh`[ ! -d ${root} ] || [ -L ${root} ] || { find ${root} ! -type d; find ${root}/. ! -name . -type d | sed 's:/\\./:/:; s:$:/:'; } | sort`;
}

/** What changes of a path, before and after; of a folder that goes, all that is in it, where diffs are wanted. */
export function fileDiff(path: string, { stat, target }: Entry, state: string, changes: readonly Pick<Change, 'field' | 'from' | 'to'>[], [listed]: readonly TextDiff[]): unknown {
  const parts = partsOf(
    changes.map((change) => (change.field === 'src' && target === undefined ? { field: 'state', from: stat?.kind ?? 'absent', to: state } : { ...change, field: TIMES[change.field] ?? change.field })),
    { path },
  );
  if (listed === undefined) return parts;
  const lines = listed.before.split('\n').slice(0, -1);
  const [directories, files] = [true, false].map((folders) => lines.filter((line) => line.endsWith('/') === folders).map((line) => line.replace(/\/$/, '')));
  return { ...parts, before: { ...parts.before, path_content: { directories, files } } };
}

const TIMES: { [field: string]: string } = { access_time: 'atime', modification_time: 'mtime' };
