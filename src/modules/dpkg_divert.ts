import { join, sh } from '../shell/sh.js';
import { fields } from './look.js';
import { defineModule, ModuleError, type Back, type Change } from './module.js';
import { bool, choice, params, path, str } from './params.js';
import { hostPath } from './words.js';

const schema = params({
  path: path('The file that packages bring elsewhere.'),
  state: choice(['absent', 'present'], 'Whether it is diverted.').default('present'),
  holder: str('The package whose own file is not diverted; LOCAL for none. Without meaning where absent.').optional(),
  divert: path('Where the file of packages goes; without it the path with .distrib behind it.').optional(),
  rename: bool('Move the file aside or back, where the diversion comes or goes.').default(false),
  force: bool('Move it even over a file that is there.').default(false),
});
type Wanted = (typeof schema)['_zod']['output'];

interface Diversion {
  path: string;
  state: 'absent' | 'present';
  divert: string | null;
  holder: string | null;
}
interface Observed {
  /** The paths with `~` expanded. */
  path: string;
  target: string;
  before: Diversion;
  /** Whether there is a file at the path, where it would be diverted to, and where it is diverted to now. */
  exists: { path: boolean; target: boolean; old: boolean };
}

function goal({ state, holder }: Wanted, { path, target }: Observed): Diversion {
  return state === 'absent' ? { path, state, divert: null, holder: null } : { path, state, divert: target, holder: holder || 'LOCAL' };
}

const named = ({ path, divert, holder }: Diversion): string => (holder === 'LOCAL' ? `local diversion of ${path} to ${divert}` : `diversion of ${path} to ${divert} by ${holder}`);

/** dpkg-divert(1): what there is of a diversion is taken away before another of the same path is made. */
function commands(wanted: Wanted, observed: Observed): string[][] {
  const { before, path } = observed;
  const { state, holder, divert } = goal(wanted, observed);
  const replaces = state === 'present' && before.state === 'present' && (before.holder !== holder || before.divert !== divert);
  const words = [wanted.rename && !replaces ? '--rename' : '--no-rename'];
  if (state === 'absent') return [[...words, '--remove', path]];
  const add = [...words, ...(holder === 'LOCAL' ? ['--local'] : ['--package', holder!]), ...(wanted.divert === undefined ? [] : ['--divert', divert!]), '--add', path];
  return replaces ? [['--no-rename', '--remove', path], add] : [add];
}

export const dpkgDivert = defineModule<typeof schema, Observed, Wanted>({
  name: 'dpkg_divert',
  summary: "Has dpkg put a file of packages elsewhere, so that one's own takes its place.",
  params: schema,
  returns: { diversion: 'The diversion as it is now: path, state, divert, holder.', commands: 'The commands of dpkg-divert.', messages: 'What dpkg-divert says.' },
  examples: ['- dpkg_divert:\n    path: /etc/screenrc\n    rename: true'],
  inspect: ({ path, divert }) => sh`export LC_ALL=C
command -v dpkg-divert >/dev/null || { echo 'the host has no dpkg-divert' >&2; exit 1; }
p=${hostPath(path)}
t=${divert === undefined ? sh`$p.distrib` : hostPath(divert)}
h=$(dpkg-divert --listpackage "$p") && o=$(dpkg-divert --truename "$p") || exit
is() { if [ -e "$1" ] || [ -L "$1" ]; then echo y; fi; }
printf '%s\\000' "$p" "$t" "$h" "$o" "$(is "$p")" "$(is "$t")" "$(is "$o")"`,
  parse(output, wanted): Observed {
    const [path, target, holder, old, ...exists] = fields(output, `looking at the diversion of ${wanted.path}`) as [string, string, string, string, string, string, string];
    const before: Diversion = holder === '' ? { path, state: 'absent', divert: null, holder: null } : { path, state: 'present', divert: old, holder };
    return { path, target, before, exists: { path: exists[0] === 'y', target: exists[1] === 'y', old: exists[2] === 'y' } };
  },
  compare(wanted, observed) {
    const { before } = observed;
    const after = goal(wanted, observed);
    if (inTheWay(wanted, observed) && !wanted.force) throw new ModuleError("Set 'force' param to True to force renaming of files.", { diversion: before });
    const changes: Change[] = [];
    for (const field of ['state', 'divert', 'holder'] as const) if (before[field] !== after[field]) changes.push({ field, from: before[field], to: after[field] });
    return changes;
  },
  apply(wanted, observed) {
    const { before, path, target } = observed;
    const moves = wanted.state === 'present' && before.state === 'present' && before.divert !== target;
    return {
      script: join([
        sh`export LC_ALL=C`,
        inTheWay(wanted, observed) ? sh`rm -f -- ${wanted.state === 'present' ? target : path} || exit` : join([]),
        ...commands(wanted, observed).map((words) => sh`o=$(dpkg-divert ${words}) || exit\nprintf '%s\\000' "$o"`),
        moves ? sh`if [ -e ${before.divert!} ] && [ ! -e ${target} ]; then mv -- ${before.divert!} ${target} || :; fi` : join([]),
      ]),
    };
  },
  touches: (_wanted, { path, target, before }) => ({ paths: ['/var/lib/dpkg/diversions', path, target, ...(before.divert === null ? [] : [before.divert])].map((each) => sh`${each}`) }),
  undo(wanted, observed) {
    const { before, path } = observed;
    const { rename } = wanted;
    const args = before.state === 'absent' ? { path, state: 'absent', rename } : { path, divert: before.divert, holder: before.holder, rename: rename && wanted.state === 'absent' };
    const back: (Back | { cannot: string })[] = [{ module: 'dpkg_divert', args }];
    return inTheWay(wanted, observed) ? [...back, { cannot: 'the file that was in the way was not kept' }] : back;
  },
  result(wanted, observed, output) {
    const after = goal(wanted, observed);
    const { before } = observed;
    const all = commands(wanted, observed);
    const isSame = before.state === after.state && before.divert === after.divert && before.holder === after.holder;
    const foreseen = isSame
      ? [after.state === 'absent' ? `No diversion 'any diversion of ${after.path}', none removed.` : `Leaving '${named(after)}'`]
      : [...(before.state === 'present' ? [`Removing '${named(before)}'`] : []), ...(after.state === 'present' ? [`Adding '${named(after)}'`] : [])];
    return {
      diversion: after,
      commands: all.map((words) => ['/usr/bin/dpkg-divert', ...words].join(' ')),
      messages: output ? output.stdout.split('\0').slice(0, -1).map((message) => message.trimEnd()) : foreseen,
    };
  },
});
export default dpkgDivert;

/** Whether a file stands where the other would be moved to. */
function inTheWay({ state, rename }: Wanted, { before, exists }: Observed): boolean {
  if (!rename || before.state === state || !exists.path) return false;
  return state === 'present' ? exists.target : exists.old;
}
