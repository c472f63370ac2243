import test from 'ava';
import { usePlaces } from '../../src/plugins/index.js';
import { Rig } from '../engine/rig.js';
import { need } from '../connection/shells.js';

/** A module of the test's own on the real `AnsibleModule`. */
const MODULE = `#!/usr/bin/python3
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.six.moves.urllib.parse import urlparse
def main():
    module = AnsibleModule(argument_spec=dict(name=dict(required=True), key=dict(no_log=True), n=dict(type='int', default=1)), supports_check_mode=True)
    module.warn('be careful')
    module.deprecate('this is old', version='9.0.0', collection_name='my.own')
    if module.params['n'] > 5:
        module.fail_json(msg='too many', n=module.params['n'])
    rc, out, err = module.run_command(['ls', module.tmpdir])
    module.exit_json(changed=True, name=module.params['name'], n=module.params['n'], check=module.check_mode, version=module.ansible_version, here=out,
        where=module.tmpdir, host=urlparse('http://a.example/x').hostname, diff=dict(before='a\\n', after='b\\n'), ansible_facts=dict(found=7))
main()
`;

test.serial('modules on the real ansible-core of this machine', async (t) => {
  need('ansible-vault', 'ansible-core');
  usePlaces({ collectionsPath: [], ansibleCore: undefined });
  const rig = await Rig.make({
    'hosts.yml': 'all:\n  hosts:\n    one:\n',
    'library/real.py': MODULE,
    'site.yml': `- hosts: all
  gather_facts: false
  tasks:
    - real: {name: ä, key: hidden-word, n: "4"}
      register: first
    - stat: {path: "{{ first.where }}"}
      register: left
    - assert: {that: [first.n == 4, found == 7, first.host == 'a.example', not left.stat.exists]}
    - real: {name: x, n: 9}
      ignore_errors: true
    - real: {nam: x}
      ignore_errors: true
    - real: {name: x}
      check_mode: true
    - real: {name: in the background}
      async: 60
      poll: 1
`,
  });
  t.teardown(() => rig.remove());
  const { exitCode } = await rig.run();
  const results = rig.events.flatMap((event) => (event.event === 'result' ? [event.result] : []));
  t.is(exitCode, 0, JSON.stringify(results.map(({ error }) => error?.message)));
  t.like(results[0], { status: 'changed', data: { name: 'ä', check: false, warnings: ['be careful'] } });
  t.like((results[0]!.data['deprecations'] as unknown[])[0], { msg: 'this is old', version: '9.0.0', collection_name: 'my.own' });
  t.regex(results[0]!.changes[0]!.diff!, /-a\n\+b/);
  t.like(results[3]!, { status: 'ignored', error: { message: 'too many' } });
  t.regex(results[4]!.error!.message, /missing required arguments: name/);
  t.like(results[5]!, { status: 'changed', data: { check: true } });
  t.like(results[6]!, { status: 'changed', data: { name: 'in the background', finished: true } });
  t.false(JSON.stringify(rig.events).includes('hidden-word'));
  t.true(rig.events.some((event) => event.event === 'warning' && event.message === 'one: be careful'));
});
