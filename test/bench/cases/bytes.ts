import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { megabytes, type Case } from '../case.js';
import { address, inventoryOf, startFleet, type Fleet } from '../fleet.js';
import { MUSTER, node, run, type Usage } from '../process.js';
import { median, race, table } from '../race.js';

const NO_NATIVE = new URL('../no-native.js', import.meta.url).href;
const SIZE_MB = 1000;
const FILES = 5000;
/** What ssh2 and OpenSSH agree on by themselves when both are left to choose. */
const CIPHER = 'aes128-gcm@openssh.com';

export const bytes: Case = {
  name: 'bytes',
  title: 'Bytes',
  about: `A file of ${SIZE_MB} MB by \`copy\` next to \`scp\` with the same cipher, and a folder of ${FILES} small files by \`copy\` next to \`tar | ssh tar\`; to a host that has neither, at a loopback address.`,
  async run() {
    const fleet = await startFleet(`Ciphers ${CIPHER}`);
    try {
      const large = join(fleet.folder, 'large');
      execFileSync('sh', ['-c', `head -c ${SIZE_MB}000000 /dev/urandom >"$0"`, large]);
      const folder = join(fleet.folder, 'small');
      for (let i = 0; i < FILES; i++) {
        const place = join(folder, `part${i % 50}`);
        mkdirSync(place, { recursive: true });
        writeFileSync(join(place, `file${i}`), `file ${i}\n`.repeat(50 + (i % 100)));
      }
      const inventory = inventoryOf(fleet, 1);
      const used: Usage[] = [];
      const copy = async (source: string, name: string, ...preload: string[]): Promise<number> => {
        rmSync(join(fleet.home, name), { recursive: true, force: true });
        const playbook = join(fleet.folder, 'copy.yml');
        writeFileSync(playbook, `- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {src: "${source}", dest: "${fleet.home}/${name}", mode: preserve}\n`);
        const usage = await node([...preload, MUSTER, 'apply', playbook, '-i', inventory]);
        if (source === large) used.push(usage);
        return usage.seconds;
      };
      const ssh = ['-F', '/dev/null', '-i', fleet.key, '-o', 'IdentitiesOnly=yes', '-o', `UserKnownHostsFile=${knownHosts(fleet)}`, '-o', 'BatchMode=yes'];
      const to = `${fleet.user}@${address(1)}`;
      const file = await race(
        {
          scp: async () => {
            rmSync(join(fleet.home, 'by-scp'), { force: true });
            return (await run('scp', ['-q', ...ssh, '-P', String(fleet.port), large, `${to}:by-scp`])).seconds;
          },
          Muster: () => copy(large, 'by-muster'),
          "Muster, without ssh2's native build": () => copy(large, 'by-muster', '--import', NO_NATIVE),
        },
        5,
      );
      const tree = await race(
        {
          'tar | ssh tar': async () => {
            rmSync(join(fleet.home, 'by-tar'), { recursive: true, force: true });
            const words = [...ssh, '-p', String(fleet.port), to].map((word) => `'${word}'`).join(' ');
            return (await run('sh', ['-c', `tar -C '${folder}' -cf - . | ssh ${words} 'mkdir by-tar && tar -C by-tar -xf -'`])).seconds;
          },
          'Muster, folder': () => copy(`${folder}/`, 'tree-by-muster/'),
        },
        5,
      );
      return {
        rows: [...table(file), ...table(tree).slice(1)],
        goals: [
          { what: 'speed of copy / scp', got: file.scp.median / file.Muster.median, atLeast: 0.8 },
          { what: 'copy of a folder / tar', got: tree['Muster, folder'].median / tree['tar | ssh tar'].median, atMost: 2 },
        ],
        notes: [`Muster's memory with the large file: ${megabytes(median(used.map(({ rss }) => rss)))}.`, ...(nativeBuild() ? [] : ["ssh2's native build is missing here: both are without it."])],
      };
    } finally {
      fleet.stop();
    }
  },
};

function knownHosts(fleet: Fleet): string {
  const file = join(fleet.folder, 'known_hosts-scp');
  writeFileSync(file, `[${address(1)}]:${fleet.port} ${fleet.hostKey}\n`);
  return file;
}

function nativeBuild(): boolean {
  try {
    execFileSync(process.execPath, ['-e', "require('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node')"], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
