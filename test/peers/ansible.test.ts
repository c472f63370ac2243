import test from 'ava';
import { AnsibleTargets } from './ansible.js';

/**
 * Targets of Ansible's integration suite that must pass, where MUSTER_PEERS_ANSIBLE names a checkout of
 * ansible/ansible; skipped otherwise, since nothing of it is kept or fetched here.
 */
const checkout = process.env['MUSTER_PEERS_ANSIBLE'];

const targets = [
  'add_host', 'ansiballz_python', 'any_errors_fatal', 'apt_repository', 'assemble', 'async_fail', 'become', 'binary', 'blockinfile', 'changed_when',
  'command_nonexisting', 'command_shell', 'controller', 'copy', 'cron', 'debconf', 'dict_transformations', 'embedded_module', 'facts_d', 'facts_linux_network',
  'failed_when', 'file', 'filter_encryption', 'filter_urls', 'filter_urlsplit', 'find', 'getent', 'group', 'groupby_filter', 'hostname', 'hosts_field',
  'ignore_errors', 'include_import_tasks_nested', 'include_vars', 'iptables', 'known_hosts', 'lineinfile', 'lookup-option-name', 'lookup_csvfile',
  'lookup_dict', 'lookup_file', 'lookup_indexed_items', 'lookup_items', 'lookup_lines', 'lookup_list', 'lookup_nested', 'lookup_pipe', 'lookup_random_choice',
  'lookup_sequence', 'lookup_subelements', 'lookup_template', 'lookup_together', 'lookup_varnames', 'lookup_vars', 'loop-until', 'loop_control',
  'module_no_log', 'module_utils_ansible_release', 'module_utils_common.respawn', 'module_utils_facts.system.selinux', 'old_style_modules_posix', 'order',
  'package', 'ping', 'raw', 'reboot', 'replace', 'rpm_key', 'script', 'service', 'service_facts', 'setup_nobody', 'setup_test_user', 'slurp', 'special_vars',
  'split', 'stat', 'strategy_free', 'systemd', 'task_ordering', 'tempfile', 'test_files', 'test_mathstuff', 'test_uri', 'user', 'var_inheritance', 'wait_for',
  'wait_for_connection', 'want_json_modules_posix', 'yaml_parsing', 'yum_repository',
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
