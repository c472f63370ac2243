import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { defineCommand, ModuleError, type Controller, type Step } from '../modules/module.js';
import { join, raw, sh, type Sh } from '../shell/sh.js';
import { answerOf, anyParams, argumentsFor, json, soundsSecret } from './answer.js';

/** How a program wants its arguments (Ansible's developer guide, "Module format"). */
type Style = 'binary' | 'json' | 'embedded' | 'words';

const EMBEDDED = '<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>';

/** @param bytes the program */
export function styleOf(bytes: Buffer): Style {
  if (bytes.subarray(0, 1024).includes(0)) return 'binary';
  if (bytes.includes(EMBEDDED)) return 'embedded';
  return bytes.includes('WANT_JSON') ? 'json' : 'words';
}

/**
 * A module in any language: an executable of the project that gets the path of a file with its arguments, and prints its result
 * as JSON. Whether it does anything is its own business, so it is an effect, and never looked ahead. In a plan it is run only if
 * it speaks of `_ansible_check_mode`, which tells it to change nothing.
 */
export function programModule(path: string) {
  const name = basename(path, extname(path));
  const bytes = readFileSync(path);
  const style = styleOf(bytes);
  const step = ({ args, controller, program }: Wanted, check: boolean): Step => {
    const given = argumentsFor(args, name, controller, check);
    const body = style === 'embedded' ? Buffer.from(bytes.toString('latin1').replaceAll(EMBEDDED, () => Buffer.from(json(given)).toString('latin1')), 'latin1') : bytes;
    const file = Buffer.from(style === 'words' ? words(given) : json(given));
    return {
      script: join([
        program === undefined ? sh`chmod u+x "$module" || exit
[ -x "$module" ] || { echo "programs cannot be run from \${module%/.muster.*}: it is mounted noexec" >&2; exit 126; }` : sh``,
        sh`${program ?? sh``} "$module" ${style === 'embedded' ? sh`` : raw('"$arguments"')}`,
      ]),
      uploads: { module: { content: body }, arguments: { content: file } },
      hangsUp: true,
    };
  };
  return defineCommand({
    name,
    summary: `A program of the project: ${path}`,
    params: anyParams,
    isSecret: soundsSecret,
    returns: {},
    examples: [],
    answers: true,
    prepare: async (args, controller): Promise<Wanted> => ({ args, controller, program: style === 'binary' ? undefined : interpreter(bytes, name, controller) }),
    run: (wanted) => step(wanted, false),
    ...(bytes.includes('_ansible_check_mode') ? { plan: (wanted: Wanted) => step(wanted, true) } : {}),
    result: (_wanted, output) => answerOf(name, output),
  });
}

interface Wanted {
  args: object;
  controller: Controller;
  /** What interprets it; undefined for a binary. */
  program: Sh | undefined;
}

/** The interpreter of its first line, unless a variable `ansible_NAME_interpreter` of the host names another. */
function interpreter(bytes: Buffer, name: string, controller: Controller): Sh {
  const shebang = /^#![ \t]*(\S+)(?:[ \t]+(.*?))?[ \t]*(?:\r?\n|$)/.exec(bytes.subarray(0, 256).toString('utf8'));
  if (!shebang) throw new ModuleError(`the module ${name} does not say what interprets it: its first line must be #!/path/to/interpreter`);
  const [, program, argument] = shebang as unknown as [string, string, string | undefined];
  const isEnv = basename(program) === 'env' && argument !== undefined;
  const given = controller.variable(`ansible_${basename(isEnv ? argument.trim().split(/\s+/).at(-1)! : program)}_interpreter`);
  if (typeof given === 'string' && given !== '') return sh`${given.split(/\s+/)}`;
  return sh`${program} ${argument === undefined ? [] : isEnv ? argument.split(/\s+/) : [argument]}`;
}

/** `key=value` words, quoted as a shell would. */
function words(args: { [key: string]: unknown }): string {
  return Object.entries(args).map(([key, value]) => `${key}=${word(typeof value === 'string' ? value : value === null ? 'None' : typeof value === 'boolean' ? (value ? 'True' : 'False') : json(value))}`).join(' ');
}

/** @see Python's shlex.quote */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
