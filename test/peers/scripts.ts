import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { labSsh, type LabState } from '../../src/lab/lab.js';
import { run } from '../../src/lab/run.js';

const ROOT = '/opt/suite';
/** Folder of the host for what targets write. */
export const OUTPUT = `${ROOT}/output`;
const TARGETS = 'test/integration/targets';
export const COMMANDS = ['ansible-playbook', 'ansible', 'ansible-inventory', 'ansible-vault'];
/** As ansible-test writes it where the controller is the host under test. */
const INVENTORY = '[testgroup]\ntesthost ansible_connection=local ansible_pipelining=yes ansible_python_interpreter=/usr/bin/python3\n';

/**
 * What ansible-test has in the environment of a target (`ansible_util.py`, `integration/__init__.py`), and for Muster:
 * no journal, and the checkout's modules over the bridge.
 */
const environment = (target: string) => ({
  ANSIBLE_FORCE_HANDLERS: 'true',
  ANSIBLE_HOST_PATTERN_MISMATCH: 'error',
  ANSIBLE_INVENTORY: '/dev/null',
  ANSIBLE_HOST_KEY_CHECKING: 'false',
  ANSIBLE_LIBRARY: '/dev/null',
  ANSIBLE_PLAYBOOK_DIR: join(ROOT, TARGETS, target),
  ANSIBLE_TEST_PYTHON_INTERPRETER: '/usr/bin/python3',
  JUNIT_OUTPUT_DIR: OUTPUT,
  OUTPUT_DIR: OUTPUT,
  INVENTORY_PATH: join(ROOT, TARGETS, '../inventory'),
  MUSTER_ANSIBLE_CORE: join(ROOT, 'lib/ansible'),
  MUSTER_JOURNAL: 'false',
  PAGER: '/bin/cat',
  PATH: '/opt/muster/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LC_ALL: 'C.UTF-8',
});

/**
 * Runs a target on a lab host, which is controller and host under test at once, with Muster under the names of Ansible's
 * commands (`as-ansible.ts`).
 * @param playbook the target as a role, in plays for `testhost`; undefined where its `runme.sh` is to be run
 * @param seconds after which it is given up
 * @returns its exit code, null when it was given up; what it printed
 */
export async function runOnHost(lab: LabState, checkout: string, target: string, playbook: object | undefined, seconds: number): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const host = lab.hosts[0]!.name;
  const dist = join(process.cwd(), 'dist');
  await ship(lab, '/opt/muster/dist', dist, ['cli', 'src', 'test/peers']);
  await ship(lab, '/opt/muster/bin', dirname(process.execPath), ['node']);
  await ship(lab, ROOT, checkout, ['lib/ansible', TARGETS]);
  const commands = COMMANDS.map((name) => `printf '#!/bin/sh\\nexec node /opt/muster/dist/test/peers/as-ansible.js ${name} "$@"\\n' > ${name}; chmod +x ${name}`);
  const prepare = [`mkdir ${OUTPUT}`, `printf '${INVENTORY.replaceAll('\n', '\\n')}' > ${ROOT}/test/integration/inventory`, `echo '{"type":"module"}' > /opt/muster/package.json`, 'ln -sf /usr/bin/python3 /usr/local/bin/python', 'cd /opt/muster/bin', ...commands];
  await run('ssh', labSsh(lab, host, [`sudo tee ${ROOT}/test/integration/site.yml`]), { input: JSON.stringify(playbook ?? []) });
  await run('ssh', labSsh(lab, host, ['sudo sh -e']), { input: prepare.join('\n') });
  const env = Object.entries(environment(target)).map(([name, value]) => `${name}='${value}'`);
  const [folder, command] = playbook === undefined ? [target, './runme.sh -v'] : ['..', `env ANSIBLE_ROLES_PATH=${ROOT}/${TARGETS} ansible-playbook site.yml -i inventory -v`];
  const script = `sudo sh -c "cd ${ROOT}/${TARGETS}/${folder} && exec env -i ${env.join(' ')} timeout ${seconds} ${command}"`;
  return new Promise((done) => {
    execFile('ssh', ['-tt', ...labSsh(lab, host, [script])], { maxBuffer: 256 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      done({ code: code === 124 ? null : code, stdout, stderr });
    });
  });
}

/** Copies what is under a folder of this machine into a folder of the host. */
async function ship(lab: LabState, to: string, folder: string, names: string[]): Promise<void> {
  const ssh = labSsh(lab, lab.hosts[0]!.name, [`sudo sh -c "mkdir -p ${to} && tar x -C ${to}"`]);
  await run('sh', ['-c', 'folder=$1 names=$2; shift 2; tar c -C "$folder" $names | ssh "$@"', 'sh', folder, names.join(' '), ...ssh]);
}
