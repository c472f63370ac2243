/** Init scripts of System V: whether one is there, runs and is enabled, and the commands between. */
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { ModuleError, type Change, type Output, type Returns, type Touched } from './module.js';
import { bool, choice, int, list, str } from './params.js';
import { splitWords } from './words.js';

/** Parameters of init scripts; `service` has those that make sense for any manager. */
export const scriptParams = {
  state: choice(['started', 'stopped', 'restarted', 'reloaded'], 'restarted (stopped, then started) and reloaded are done each time.').optional(),
  enabled: bool('Whether the service starts at boot.').optional(),
  sleep: int('Seconds to wait behind stop and start of a restart.').default(1),
  pattern: str('Text in the command lines of processes that tells that the service runs, where its script cannot.').optional(),
  arguments: str('More arguments for the script.').meta({ aliases: ['args'] }).optional(),
  runlevels: list('Runlevels in which the service is enabled or not, instead of those that the script names.').optional(),
  daemonize: bool('Runs the script in a session of its own, where what it starts stays tied to the session.').default(false),
};

export interface ScriptWanted {
  name: string;
  state?: 'started' | 'stopped' | 'restarted' | 'reloaded' | undefined;
  enabled?: boolean | undefined;
  sleep?: number | undefined;
  pattern?: string | undefined;
  arguments?: string | undefined;
  runlevels?: readonly string[] | undefined;
  daemonize?: boolean;
}

export interface Script {
  running: boolean;
  /** Runlevels that have a link which starts it. */
  levels: readonly string[];
  warnings: readonly string[];
}

/** Ends with 0 where a process other than this shell has the text in its command line, with 3 where none has. */
export function running(pattern: string): Sh {
  return sh`(for f in /proc/[0-9]*/cmdline; do
    if [ "$f" != /proc/$$/cmdline ] && tr '\\000' ' ' <"$f" 2>/dev/null | grep -qF -e ${pattern}; then exit 0; fi
  done 2>/dev/null
  exit 3)`;
}

const pathOf = (name: string): string => (name.startsWith('/') ? name : `/etc/init.d/${name}`);
const shortOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/**
 * Tells of a script: `script none`; or `script there`, a line `level N` for each runlevel, how the look at its state ended,
 * and what that said where it is one line. The script itself is asked: under systemd, service(8) tells of a unit that
 * knows nothing of what the script started.
 */
export function inspectScript({ name, pattern }: ScriptWanted): Sh {
  const script = pathOf(name);
  const look =
    pattern === undefined
      ? sh`o=$(timeout 10 ${script} status </dev/null 2>/dev/null)`
      : sh`o=; ${running(pattern)}`;
  return sh`if [ ! -e ${script} ]; then echo 'script none'
else
  echo 'script there'
  d=/etc; [ -d /etc/rc0.d ] || d=/etc/init.d
  for f in "$d"/rc?.d/S??${shortOf(name)}; do if [ -e "$f" ]; then f=\${f%.d/*}; echo "level \${f##*/rc}"; fi; done
  ${look}
  echo "status $?"
  case $o in *'
'*) ;; *) printf 'said %s\\n' "$o" ;; esac
fi`;
}

/** @throws ModuleError where there is no such script */
export function parseScript(output: Output, wanted: ScriptWanted): Script {
  const lines = output.stdout.split('\n');
  if (lines.includes('script none')) throw new ModuleError(`Could not find the requested service ${wanted.name}: the host has no init script ${pathOf(wanted.name)}; is the package installed, the name right?`);
  const status = /^status (\d+)$/m.exec(output.stdout)?.[1];
  if (!lines.includes('script there') || status === undefined) throw new ModuleError(`cannot look at the init script of ${wanted.name}: ${output.stderr.trim()}`, { rc: output.rc, stderr: output.stderr });
  const said = lines.find((line) => line.startsWith('said '))?.slice('said '.length);
  const state = wanted.pattern === undefined ? stateOf(Number(status), said, wanted.name) : status === '0';
  return {
    running: state ?? false,
    levels: lines.flatMap((line) => /^level (\w)$/.exec(line)?.[1] ?? []),
    warnings: state === undefined ? ['Unable to determine if service is up, assuming it is down'] : [],
  };
}

/**
 * Whether it runs, by what its `status` said and how it ended; undefined where neither tells. Scripts that end with 0
 * whatever they find are many, so that one line of words counts more (as with Ansible); else LSB 3.1, 20.2.
 */
function stateOf(rc: number, said: string | undefined, name: string): boolean | undefined {
  const words = said?.toLowerCase().replaceAll(name.toLowerCase(), '');
  if (words !== undefined) {
    if (['stop', 'not running', 'is dead ', 'dead but ', 'could not access pid file', 'inactive'].some((word) => words.includes(word))) return false;
    if (!words.includes('not ') && ['run', 'start', 'active'].some((word) => words.includes(word))) return true;
  }
  return [1, 2, 3, 4, 69].includes(rc) ? false : rc === 0 ? true : undefined;
}

/** Whether it starts at boot: in all of the wanted runlevels, or in any. */
export function startsAtBoot({ runlevels }: ScriptWanted, { levels }: Script): boolean {
  return runlevels?.length ? runlevels.every((level) => levels.includes(level)) : levels.length > 0;
}

export function compareScript(wanted: ScriptWanted, script: Script): Change[] {
  const changes: Change[] = [];
  const off = wanted.runlevels?.length ? wanted.runlevels.some((level) => script.levels.includes(level) !== wanted.enabled) : startsAtBoot(wanted, script) !== wanted.enabled;
  if (wanted.enabled !== undefined && off) changes.push({ field: 'enabled', from: startsAtBoot(wanted, script), to: wanted.enabled });
  const from = script.running ? 'started' : 'stopped';
  if (wanted.state === 'restarted') changes.push({ field: 'state', from, to: 'restarted' });
  else if (wanted.state === 'reloaded') changes.push({ field: 'state', from, to: script.running ? 'reloaded' : 'started' });
  else if (wanted.state !== undefined && wanted.state !== from) changes.push({ field: 'state', from, to: wanted.state });
  return changes;
}

/** Parts what enabling printed from what the script printed. */
const PART = '\x1estate\n';

export function applyScript(wanted: ScriptWanted, changes: readonly Change[]): Sh {
  return join(changes.map(({ field, to }) => (field === 'enabled' ? enabling(wanted, to === true) : sh`printf ${`\\036${PART.slice(1, -1)}\\n`}
${turning(wanted, String(to))}`)));
}

function enabling({ name: written, runlevels }: ScriptWanted, on: boolean): Sh {
  const name = shortOf(written);
  const levels = runlevels ?? [];
  return sh`if command -v update-rc.d >/dev/null; then
  ${on && levels.length === 0 ? sh`update-rc.d ${name} defaults && ` : sh``}update-rc.d ${name} ${raw(on ? 'enable' : 'disable')} ${[...levels]} || exit
elif command -v chkconfig >/dev/null; then chkconfig ${levels.length > 0 ? ['--level', levels.join('')] : []} ${name} ${raw(on ? 'on' : 'off')} || exit
else echo "neither update-rc.d nor chkconfig is there to enable or disable "${name} >&2; exit 1
fi`;
}

function turning(wanted: ScriptWanted, state: string): Sh {
  const script = pathOf(wanted.name);
  const more = splitWords(wanted.arguments ?? '');
  const session = wanted.daemonize ? sh`s=; command -v setsid >/dev/null && s=setsid; $s ` : sh``;
  const run = (verb: string): Sh => sh`${session}${script} ${verb} ${more} </dev/null || { r=$?; echo ${`Failed to ${verb} service: ${wanted.name}`} >&2; exit $r; }`;
  const wait = wanted.sleep ? sh`sleep ${wanted.sleep}` : sh``;
  // Not every script has a restart to be relied on.
  if (state === 'restarted') return join([run('stop'), wait, run('start'), wait]);
  return run({ started: 'start', stopped: 'stop', reloaded: 'reload' }[state]!);
}

/** Links say what starts at boot. */
const LINKS = ['0', '1', '2', '3', '4', '5', '6', 'S'].map((level) => sh`${`/etc/rc${level}.d`}`);

export function linksTouched(changes: readonly Change[]): Touched['trees'] & {} {
  return changes.some(({ field }) => field === 'enabled') ? LINKS : [];
}

/** `status` as Ansible's module has it: of enabling and of the state whether it changed, how that ended and what it printed. */
export function scriptResult(wanted: ScriptWanted, script: Script, output: Output | undefined): Returns {
  const changed = new Set(output ? compareScript(wanted, script).map(({ field }) => field) : []);
  const [enabling = '', turning = ''] = output?.stdout.split(PART) ?? [];
  const part = (field: 'enabled' | 'state', stdout: string, last: boolean) => {
    const did = output !== undefined && changed.has(field);
    return { changed: did, rc: did ? output.rc : null, stdout: did ? stdout : null, stderr: did ? (last ? output.stderr : '') : null };
  };
  return {
    name: wanted.name,
    state: wanted.state === undefined ? (script.running ? 'started' : 'stopped') : wanted.state === 'stopped' ? 'stopped' : 'started',
    enabled: wanted.enabled ?? startsAtBoot(wanted, script),
    status: {
      enabled: { ...part('enabled', enabling, !changed.has('state')), ...(wanted.runlevels ? { runlevels: wanted.runlevels } : {}) },
      ...(wanted.state === undefined ? {} : { [wanted.state]: part('state', turning, true) }),
    },
    ...(script.warnings.length > 0 ? { warnings: script.warnings } : {}),
  };
}
