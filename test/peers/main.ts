import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AnsibleTargets, allTargets } from './ansible.js';

/** `npm run test:peers -- --ansible CHECKOUT [TARGET…]`: targets of Ansible's integration suite, run by `muster apply`. */
const argv = await yargs(hideBin(process.argv))
  .usage('npm run test:peers -- --ansible CHECKOUT [TARGET…]\n\nRuns targets of Ansible\'s integration suite; all of them unless some are named.')
  .options({
    ansible: { type: 'string', default: process.env['MUSTER_PEERS_ANSIBLE'], demandOption: process.env['MUSTER_PEERS_ANSIBLE'] === undefined, describe: 'checkout of ansible/ansible' },
    lab: { type: 'string', default: 'peers', describe: 'name of the lab that is booted' },
    keep: { type: 'boolean', default: false, describe: 'leave the lab as it is at the end' },
    logs: { type: 'string', describe: 'folder for what each target printed' },
  })
  .strictOptions()
  .parse();

const names = argv._.map(String);
const known = new Set(allTargets(argv.ansible!));
for (const name of names) if (!known.has(name)) throw new Error(`the suite has no target ${name} that is a role or a script`);
const targets = names.length > 0 ? names : [...known];

const suite = await AnsibleTargets.up(argv.ansible!, argv.lab);
let passed = 0;
try {
  for (const target of targets) {
    const verdict = await suite.run(target);
    if (verdict.passed) passed++;
    console.log(`${verdict.passed ? 'pass' : 'fail'}  ${target.padEnd(20)} ${`${verdict.seconds.toFixed(1)} s`.padStart(8)}  ${verdict.why}`);
    if (argv.logs === undefined) continue;
    await mkdir(argv.logs, { recursive: true });
    await writeFile(join(argv.logs, target), verdict.stdout + verdict.stderr);
  }
} finally {
  await suite.down({ keep: argv.keep });
}
console.log(`${passed} of ${targets.length} passed`);
process.exitCode = passed === targets.length ? 0 : 1;
