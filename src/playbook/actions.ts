import { z } from 'zod';
import { canonicalName, loadModule, moduleNames, type Spec } from '../modules/index.js';
import { any, bool, choice, dict, float, int, list, params, str } from '../modules/params.js';
import { ContentError, didYouMean } from '../value/errors.js';

/** What happens on the controller: their arguments as the modules' are described. The engine carries them out. */
const ACTIONS: readonly Spec[] = [
  {
    name: 'debug',
    summary: 'Prints a message or the value of a variable.',
    params: params({
      msg: any('The message.').default('Hello world!'),
      var: str('An expression whose value is printed, written without {{ }}.').optional(),
      verbosity: int('Prints only at this level of -v and above.').default(0),
    }),
    returns: { msg: 'The message, unless `var` was given; else the value under the name of the expression.' },
    examples: ['- debug:\n    msg: "{{ inventory_hostname }} runs {{ ansible_distribution }}"\n', '- debug:\n    var: ansible_memtotal_mb\n'],
  },
  {
    name: 'set_fact',
    summary: 'Sets variables of the host for the rest of the run.',
    params: z.looseObject({ cacheable: bool('Also keeps them in the fact cache.').default(false) }),
    returns: { ansible_facts: 'The variables that were set.' },
    examples: ['- set_fact:\n    release: "{{ lookup(\'env\', \'RELEASE\') }}"\n'],
  },
  {
    name: 'set_stats',
    summary: 'Keeps statistics of the playbook that are told at the end of the run.',
    params: params({
      data: dict('Names and values.'),
      per_host: bool('Keeps them for each host, not for the run as a whole.').default(false),
      aggregate: any('Adds to what is known (numbers, texts, lists, dicts) instead of replacing it.').default(true),
    }),
    returns: { ansible_stats: 'data, per_host and aggregate.' },
    examples: ['- set_stats:\n    data:\n      upgraded: "{{ upgrade.changed | ternary(1, 0) }}"\n'],
  },
  {
    name: 'add_host',
    summary: 'Adds a host, and groups it is in, to the inventory of this run.',
    params: z.looseObject({
      name: str('Inventory name; `name:port` also sets the port.').meta({ aliases: ['hostname', 'host'] }),
      groups: list('Groups it becomes a member of.').meta({ aliases: ['groupname', 'group'] }).optional(),
    }),
    returns: { add_host: 'Name, groups and variables of the host.' },
    examples: ['- add_host:\n    name: 198.18.0.20\n    groups: fresh\n    ansible_user: root\n'],
  },
  {
    name: 'group_by',
    summary: 'Puts each host into a group named after a variable or fact.',
    params: params({
      key: str('Name of the group; spaces become dashes.'),
      parents: list('Groups the new group is in.').default(['all']),
    }),
    returns: { add_group: 'The group.', parent_groups: 'Its parents.' },
    examples: ['- group_by:\n    key: "os_{{ ansible_os_family }}"\n'],
  },
  {
    name: 'include_vars',
    summary: 'Reads variables from a YAML or JSON file, or from a folder of them.',
    params: params({
      file: str('The file, looked up in `vars/` of the role and beside the playbook.').meta({ aliases: ['_raw_params'] }).optional(),
      dir: str('A folder; its files are read in alphabetical order.').optional(),
      name: str('Puts the variables into a dict of this name.').optional(),
      depth: int('How deep to go into the folder; 0 is all the way.').default(0),
      files_matching: str('Regular expression the names of files in the folder must match.').optional(),
      ignore_files: list('Names of files in the folder to leave out.').optional(),
      extensions: list('Extensions of files in the folder that are read.').default(['json', 'yaml', 'yml']),
      ignore_unknown_extensions: bool('Leaves out files with other extensions instead of failing.').default(false),
      hash_behaviour: choice(['replace', 'merge'], 'Whether a dict replaces one of the same name or is merged into it.').optional(),
    }),
    freeForm: 'file',
    returns: { ansible_facts: 'The variables.', ansible_included_var_files: 'The files.' },
    examples: ['- include_vars: "{{ ansible_os_family }}.yml"\n'],
  },
  {
    name: 'assert',
    summary: 'Fails unless every condition holds.',
    params: params({
      that: any('A condition or a list of them, written without {{ }}.').refine((value) => value !== undefined, 'give at least one condition'),
      fail_msg: any('The message when one does not hold.').meta({ aliases: ['msg'] }).optional(),
      success_msg: any('The message when all hold.').optional(),
      quiet: bool('Says less.').default(false),
    }),
    returns: { assertion: 'The condition that did not hold.', msg: 'The message.' },
    examples: ['- assert:\n    that:\n      - ansible_memtotal_mb >= 512\n      - app_port | int > 1024\n    fail_msg: this host is too small\n'],
  },
  {
    name: 'fail',
    summary: 'Fails the task with a message.',
    params: params({ msg: str('The message.').default('Failed as requested from task') }),
    returns: { msg: 'The message.' },
    examples: ['- fail:\n    msg: only Debian is supported\n  when: ansible_os_family != "Debian"\n'],
  },
  {
    name: 'pause',
    summary: 'Waits for a while, or for Enter at the terminal.',
    params: params({
      minutes: float('How many minutes.').optional(),
      seconds: float('How many seconds.').optional(),
      prompt: str('What to ask; the answer is `user_input`.').optional(),
      echo: bool('Shows what is typed.').default(true),
    }),
    returns: { user_input: 'What was typed.', delta: 'Seconds waited.' },
    examples: ['- pause:\n    seconds: 5\n'],
  },
  {
    name: 'meta',
    summary: 'Steers the run itself.',
    params: params({
      free_form: choice(
        ['flush_handlers', 'refresh_inventory', 'noop', 'clear_facts', 'clear_host_errors', 'end_play', 'end_host', 'end_batch', 'end_role', 'reset_connection'],
        'What to do: run notified handlers now, forget facts or errors, end the play, batch, host or role, drop the connection.',
      ),
    }),
    freeForm: 'free_form',
    returns: {},
    examples: ['- meta: flush_handlers\n'],
  },
  {
    name: 'async_status',
    summary: 'Tells how a job stands that a task with `async` has started, and what came of it.',
    params: params({
      jid: str('The job: `ansible_job_id` of the task that started it.'),
      mode: choice(['status', 'cleanup'], 'Whether to look, or to take away what is kept of it.').default('status'),
    }),
    returns: {
      ansible_job_id: 'The job.', started: 'Whether it was started.', finished: 'Whether it has ended; with it comes what its module returns.',
      results_file: "The job's file on the host.", stdout: 'What it printed.', stderr: 'What it printed to standard error.', erased: 'The file taken away.',
    },
    examples: ['- command: /usr/local/sbin/long-work\n  async: 3600\n  poll: 0\n  register: work\n- async_status:\n    jid: "{{ work.ansible_job_id }}"\n  register: state\n  until: state is finished\n  retries: 100\n  delay: 10\n'],
  },
  {
    name: 'validate_argument_spec',
    summary: 'Checks variables against a specification as meta/argument_specs.yml of a role has it; a role that has one begins with this.',
    params: params({
      argument_spec: dict('Options by name, each a dict: type, required, default, choices, elements, options, aliases, …'),
      provided_arguments: dict('Values that count instead of the variables of these names.').default({}),
      validate_args_context: dict('What is told of who asks.').default({}),
    }),
    returns: { argument_errors: 'What is wrong.', argument_spec_data: 'The specification.', validate_args_context: 'Who asked.', msg: 'All of it as text.' },
    examples: ['- validate_argument_spec:\n    argument_spec:\n      port: {type: int, required: true}\n      level: {choices: [debug, info], default: info}\n'],
  },
  {
    name: 'fetch',
    summary: 'Copies a file of the host to the controller.',
    params: params({
      src: str('The file on the host.'),
      dest: str('Folder on the controller; the file goes to `<dest>/<host>/<src>` unless `flat`.'),
      flat: bool('Writes to `dest` itself, or into it where it ends in a slash.').default(false),
      fail_on_missing: bool('Fails where the file does not exist.').default(true),
      validate_checksum: bool('Compares checksums afterwards.').default(true),
    }),
    returns: { dest: 'The file on the controller.', checksum: 'SHA-1 of it.', md5sum: 'MD5 of it.' },
    examples: ['- fetch:\n    src: /etc/haproxy/haproxy.cfg\n    dest: collected/\n'],
  },
  {
    name: 'reboot',
    summary: 'Reboots the host and waits until it is back.',
    params: params({
      pre_reboot_delay: float('Seconds to wait before.').default(0),
      post_reboot_delay: float('Seconds to wait before it is looked for again.').default(0),
      reboot_timeout: int('Seconds to wait for it to come back.').default(600),
      connect_timeout: int('Seconds for one attempt to connect.').optional(),
      test_command: str('Command that shows that it is up.').default('whoami'),
      boot_time_command: str('Command whose output changes with each boot; the kernel names each unless given.').default('cat /proc/sys/kernel/random/boot_id'),
      reboot_command: str('Command that reboots it, instead of `shutdown -r`.').optional(),
      msg: str('Message to users who are logged in.').default('Reboot initiated by Muster'),
      search_paths: list('Folders where `shutdown` is looked for.').default(['/sbin', '/bin', '/usr/sbin', '/usr/bin', '/usr/local/sbin']),
    }),
    returns: { rebooted: 'Whether it was rebooted.', elapsed: 'Seconds it took.' },
    examples: ['- reboot:\n    reboot_timeout: 300\n'],
  },
  {
    name: 'wait_for_connection',
    summary: 'Waits until the host can be reached and runs commands.',
    params: params({
      connect_timeout: int('Seconds for one attempt to connect.').default(5),
      delay: int('Seconds to wait before the first attempt.').default(0),
      sleep: int('Seconds between attempts.').default(1),
      timeout: int('Seconds to wait in all.').default(600),
    }),
    returns: { elapsed: 'Seconds it took.' },
    examples: ['- wait_for_connection:\n    timeout: 120\n'],
  },
  {
    name: 'include_tasks',
    summary: 'Loads a task file when the run gets there.',
    params: params({
      file: str('The file, looked up beside the including file, then in `tasks/` of the role.').meta({ aliases: ['_raw_params'] }),
      apply: dict('Keywords that each of its tasks gets.').optional(),
    }),
    freeForm: 'file',
    returns: {},
    examples: ['- include_tasks: "setup-{{ ansible_os_family }}.yml"\n'],
  },
  {
    name: 'import_tasks',
    summary: 'Puts the tasks of a file here, before the run begins.',
    params: params({ file: str('The file, looked up beside the importing file, then in `tasks/` of the role.').meta({ aliases: ['_raw_params'] }) }),
    freeForm: 'file',
    returns: {},
    examples: ['- import_tasks: install.yml\n'],
  },
  {
    name: 'include_role',
    summary: 'Loads and runs a role when the run gets there.',
    params: params({ ...roleParams(), apply: dict('Keywords that each of its tasks gets.').optional() }),
    returns: {},
    examples: ['- include_role:\n    name: mysql\n    tasks_from: replica.yml\n'],
  },
  {
    name: 'import_role',
    summary: 'Puts the tasks of a role here, before the run begins.',
    params: params(roleParams()),
    returns: {},
    examples: ['- import_role:\n    name: common\n'],
  },
];

function roleParams() {
  return {
    name: str('The role.').meta({ aliases: ['role'] }),
    tasks_from: str('File of its `tasks/` to run.').default('main'),
    vars_from: str('File of its `vars/` to read.').default('main'),
    defaults_from: str('File of its `defaults/` to read.').default('main'),
    handlers_from: str('File of its `handlers/` to read.').default('main'),
    allow_duplicates: bool('Runs it though it ran before.').default(true),
    public: bool('Shows its variables and defaults to the tasks that follow.').optional(),
    rolespec_validate: bool('Checks the variables against the argument spec of the role, where it has one.').default(true),
  };
}

const BY_NAME = new Map(ACTIONS.map((spec) => [spec.name, spec]));

/** Names of the actions that run on the controller. */
export const actionNames: readonly string[] = [...BY_NAME.keys()];

/** Module or action as written, with or without collection -> its short name; undefined where there is none. */
export function actionName(written: string): string | undefined {
  const short = written.replace(/^ansible\.(?:builtin|legacy)\./, '');
  return BY_NAME.has(short) ? short : canonicalName(written);
}

/**
 * What an action or module takes and returns.
 * @throws ContentError where there is none of that name
 */
export async function loadSpec(name: string): Promise<Spec> {
  const canonical = actionName(name);
  if (canonical === undefined) throw new ContentError(`there is no module "${name}"`, undefined, suggestAction(name));
  return BY_NAME.get(canonical) ?? (await loadModule(canonical));
}

/** A hint for a name that is neither module nor action. */
export function suggestAction(written: string): string {
  if (/^(ansible\.\w+\.)?include$/.test(written)) return 'write include_tasks or import_tasks';
  return didYouMean(written.split('.').at(-1)!, [...actionNames, ...moduleNames]) ?? '`muster doc` lists the modules';
}
