import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labSsh, type LabState } from '../../../src/lab/lab.js';
import { run } from '../../../src/lab/run.js';
import { sh } from '../../../src/shell/sh.js';
import { caseLines } from '../../expression/lines.js';
import { compare, readAnsible, readMuster, type Line } from './read.js';

/** One run of a playbook by each: of which case, with which arguments, over which connection. */
export interface Case {
  name: string;
  playbook: string;
  args: string;
  connection: 'local' | 'ssh';
  /** Names of tasks at which Muster differs on purpose. */
  differs: string[];
}

/** How a run went: its output, and below `out` on the hosts each file with its mode, size and content's hash. */
interface Ran {
  code: number;
  output: string;
  errors: string;
  files: string[];
}

const folder = 'test/peers/differential';
/** Where the cases lie on the host, for both. */
const there = '/srv/differential';

/**
 * The cases: each playbook in `cases/` once, or once for each of its lines `# args:`; over SSH too where a line says
 * `# ssh`. `# differs NAME: why` names a task of which Muster does not say what Ansible does.
 */
export function cases(): Case[] {
  const playbooks = readdirSync(join(folder, 'cases')).filter((file) => file.endsWith('.yml')).toSorted();
  const found = playbooks.flatMap((playbook): Case[] => {
    const text = readFileSync(join(folder, 'cases', playbook), 'utf8');
    const lines = (what: string) => [...text.matchAll(new RegExp(`^# ${what}(.*)$`, 'gm'))].map(([, line]) => line!.trim());
    const args = lines('args:');
    const differs = lines('differs ').map((line) => line.split(': ')[0]!);
    return (['local', ...(lines('ssh$').length ? ['ssh' as const] : [])] as const).flatMap((connection) =>
      (args.length ? args : ['']).map((line) => ({ name: [playbook.replace('.yml', ''), line, connection === 'ssh' ? 'over SSH' : ''].filter(Boolean).join(' '), playbook, args: line, connection, differs })),
    );
  });
  return [...found, ...['expressions', 'templates'].map((name): Case => ({ name, playbook: `${name}.json`, args: '', connection: 'local', differs: name === 'expressions' ? otherwise() : [] }))];
}

/** The lines of which Muster gives something else on purpose. */
function otherwise(): string[] {
  return readFileSync(join(folder, 'otherwise.txt'), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('# '));
}

/** The recorded lines that both are asked: expressions, and templates as the text of a variable. All but those of the filter that only Muster has. */
const lines = caseLines().filter(({ file }) => file !== 'gtid');

/**
 * The text as it has to be in the braces of a playbook to mean the same: there a backslash stands for itself, so what
 * texts escape is written out. Those that cannot be written so (a quote that is escaped) are left for both to see to.
 */
function inBraces(text: string): string {
  return text.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/gs, (literal) => {
    const quote = literal[0]!;
    const plain = literal.slice(1, -1).replace(/\\(?:x(..)|u(....)|(.))/gs, (escaped, x: string, u: string, one: string) => (one ? ({ n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' }[one] ?? escaped) : String.fromCharCode(parseInt(x ?? u, 16))));
    return plain.includes(quote) || plain.endsWith('\\') ? literal : `${quote}${plain}${quote}`;
  });
}

/** So many lines are variables at a time: Ansible takes longer the more there are. */
const ABREAST = 100;

/** Playbooks that show what comes out of the lines (each a variable and an item of a loop, so that an error is that item's), and of the templates in files; by their path. */
function generated(): { [file: string]: string } {
  const playbook = (tasks: object[]) => JSON.stringify([{ hosts: 'a', gather_facts: false, tasks: tasks.map((task) => ({ ...task, ignore_errors: true })) }]);
  const files: { [file: string]: string } = {};
  const asked: object[] = [];
  for (let from = 0; from < lines.length; from += ABREAST) {
    const part = lines.slice(from, from + ABREAST);
    // The text tells 1 from 1.0.
    const vars = part.flatMap(({ file, text }, i) => (file === 'templates' ? [[`line_${i}`, text], [`text_${i}`, text]] : [[`line_${i}`, `{{ ${inBraces(text)} }}`], [`text_${i}`, `{{ (${inBraces(text)}) | string }}`]]));
    files[`vars/a-${from}.json`] = JSON.stringify(Object.fromEntries(vars));
    // Lines that are wrong on purpose must not be seen before the run.
    asked.push({ include_vars: `{{ inventory_hostname }}-${from}.json` });
    asked.push({ name: 'lines', debug: { msg: ["{{ lookup('vars', 'line_' ~ item) }}", "{{ lookup('vars', 'text_' ~ item) }}"] }, loop: part.map((_, i) => i) });
  }
  const templates = readdirSync(join(folder, 'cases/templates')).filter((name) => name.endsWith('.j2') && !name.startsWith('_')).toSorted();
  return {
    ...files,
    'expressions.json': playbook(asked),
    'templates.json': playbook([{ include_vars: '../../vars.yml' }, ...templates.map((name) => ({ name, debug: { msg: `{{ lookup('template', '${name}') }}` } }))]),
  };
}

const on = (lab: LabState, host: string, script: string): Promise<string> => run('ssh', labSsh(lab, host, ['sudo sh']), { input: script });

/** Ansible, Node and Muster on the host `ctl`; on `far` the Python that Ansible needs. */
export async function prepare(lab: LabState): Promise<void> {
  const install = (packages: string) => `{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends ${packages}; } >/dev/null`;
  await Promise.all([on(lab, 'ctl', install('ansible nodejs python3-passlib python3-netaddr python3-jmespath python3-fqdn openssh-client')), on(lab, 'far', install('python3'))]);
  const key = await on(lab, 'ctl', `[ -f /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; ssh-keyscan -t ed25519 ${addressOf(lab)} >/root/.ssh/known_hosts 2>/dev/null; cat /root/.ssh/id_ed25519.pub`);
  await on(lab, 'far', `cat >>/root/.ssh/authorized_keys <<'END'\n${key}END\n`);
}

/** Runs the cases by both, one after the other, and tells for each where they part. */
export async function compareRuns(lab: LabState, chosen: readonly Case[]): Promise<string[][]> {
  await on(lab, 'ctl', `rm -rf ${there} /opt/muster`);
  await Promise.all([put(lab, '/opt/muster', 'package.json', 'dist/cli', ...['bcryptjs', 'ip-address', 'jmespath'].map((name) => `node_modules/${name}`)), put(lab, there, '-C', folder, '.')]);
  await on(lab, 'ctl', Object.entries(generated()).map(([name, text]) => `cat >${there}/cases/${name} <<'END OF FILE'\n${text}\nEND OF FILE\n`).join(''));
  const theirs = await runAll(lab, chosen, 'ansible-playbook', 3);
  const ours = await runAll(lab, chosen, '/opt/muster/dist/cli/main.js apply --output json', 1);
  return chosen.map((each, i) => parted(each, ours[i]!, theirs[i]!));
}

function parted(each: Case, ours: Ran, theirs: Ran): string[] {
  const [mine, other] = [readMuster(ours.output), readAnsible(theirs.output)];
  if (other.length === 0) return [`ansible did nothing: ${theirs.output}${theirs.errors}`];
  if (ours.code === 1) return [`muster refuses it: ${ours.errors}`];
  // Each item of the loops over the lines is named by its line.
  const named = (all: Line[]): Line[] => (each.name === 'expressions' ? all.filter(({ task }) => task === 'lines').map((line, i) => ({ ...line, task: lines[i]?.text ?? 'none' })) : all);
  const found = compare(named(mine), named(other));
  const notes = found.filter((text) => !each.differs.some((task) => text.startsWith(`[${task}]\n`)));
  const stale = each.differs.filter((task) => !found.some((text) => text.startsWith(`[${task}]\n`))).map((task) => `[${task}] is noted as different and is not`);
  const files = [...theirs.files.filter((file) => !ours.files.includes(file)).map((file) => `only ansible: ${file}`), ...ours.files.filter((file) => !theirs.files.includes(file)).map((file) => `only muster: ${file}`)];
  return [...notes, ...stale, ...files, ...((ours.code === 0) === (theirs.code === 0) ? [] : [`exit codes: ansible ${theirs.code}, muster ${ours.code}`])];
}

/** All runs of one of the two, so many at a time (Muster's would wait for one another's lock). What the cases write goes to the same places by both. */
async function runAll(lab: LabState, chosen: readonly Case[], tool: string, abreast: number): Promise<Ran[]> {
  const folders = chosen.map((_, i) => `/srv/out/${i}`).join(' ');
  const commands = chosen.map(({ connection, args, playbook }, i) => {
    const way = connection === 'local' ? 'ansible_connection=local' : `ansible_host=${addressOf(lab)}`;
    // Handlers that a run before owes would be made up for.
    return `rm -rf /var/lib/muster; ${tool} -i ${there}/inventory.yml -v -e ${way} -e out=/srv/out/${i} ${args} ${playbook} >/srv/told/${i}.output 2>/srv/told/${i}.errors </dev/null; echo $? >/srv/told/${i}.code`;
  });
  await on(lab, 'far', `rm -rf /srv/out; mkdir -p ${folders}`);
  await on(lab, 'ctl', `rm -rf /srv/out /srv/told; mkdir -p /srv/told ${folders}; cd ${there}/cases
export HOME=/root ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 ANSIBLE_PIPELINING=1 ANSIBLE_RETRY_FILES_ENABLED=0
xargs -d '\n' -P ${abreast} -n 1 sh -c <<'END OF FILE'\n${commands.join('\n')}\nEND OF FILE`);
  const state = `cd /srv/out; find . -mindepth 2 \\( -type d -printf '%P %M %l\\n' -o -printf '%P %M %s %l ' -exec sha256sum {} \\; \\) | LC_ALL=C sort`;
  const files = (await Promise.all(['ctl', 'far'].map(async (host) => (await on(lab, host, state)).split('\n').map((line) => line.replace(/^\d+/, `$& ${host}`))))).flat();
  const told = JSON.parse(await on(lab, 'ctl', `node -e '
    const { readFileSync } = require("fs"), read = (name) => readFileSync("/srv/told/" + name, "utf8");
    process.stdout.write(JSON.stringify(Array.from({ length: ${chosen.length} }, (_, i) => ({ code: +read(i + ".code"), output: read(i + ".output"), errors: read(i + ".errors") }))))'`)) as Omit<Ran, 'files'>[];
  return told.map((each, i) => ({ ...each, files: files.filter((line) => line.startsWith(`${i} `)).map((line) => line.replace(/ {2}\.\/.*$/, '')) }));
}

/** Packs files of this machine and unpacks them in a folder of `ctl`. @param files words of tar */
async function put(lab: LabState, to: string, ...files: string[]): Promise<void> {
  const command = ['ssh', ...labSsh(lab, 'ctl', [`sudo mkdir -p ${to} && sudo tar -xz --no-same-owner -C ${to}`])];
  await run('sh', ['-c', sh`tar -cz ${files} | ${command}`.text]);
}

const addressOf = (lab: LabState): string => lab.hosts.find(({ name }) => name === 'far')!.address;
