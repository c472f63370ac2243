import test from 'ava';
import { AnsibleTargets } from './ansible.js';

/**
 * Targets of Ansible's integration suite that must pass, where MUSTER_PEERS_ANSIBLE names a checkout of
 * ansible/ansible; skipped otherwise, since nothing of it is kept or fetched here.
 */
const checkout = process.env['MUSTER_PEERS_ANSIBLE'];

const targets = [
  'become', 'changed_when', 'failed_when', 'filter_urls', 'ignore_errors', 'lookup_csvfile', 'lookup_dict', 'lookup_items', 'lookup_list', 'lookup_pipe',
  'lookup_sequence', 'lookup_template', 'lookup_vars', 'ping', 'test_mathstuff',
];

let suite: AnsibleTargets;
if (checkout !== undefined) {
  test.before('a host for the targets', async () => void (suite = await AnsibleTargets.up(checkout, 'peers')));
  test.after.always('the host goes', () => suite?.down());
}

for (const target of targets) {
  (checkout === undefined ? test.skip : test.serial)(`target ${target} of Ansible's suite passes`, async (t) => {
    const verdict = await suite.run(target);
    t.true(verdict.passed, verdict.why);
  });
}
