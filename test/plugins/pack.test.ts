import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { unzipSync } from 'fflate';
import { pack } from '../../src/plugins/pack.js';
import { CORE, folderWith } from './support.js';

const COLL = 'collections/ansible_collections/ns/coll';

test('a module travels with all it imports, to the end, and runs from its archive', async (t) => {
  const folder = await folderWith(t, {
    ...CORE,
    [`${COLL}/plugins/modules/thing.py`]: 'from ansible.module_utils.basic import AnsibleModule\nfrom ..module_utils.deep import one\nif False:\n    from ..plugin_utils.types import T\nmodule = AnsibleModule()\nmodule.exit_json(said=one.say(), name=module.params["name"], known=sorted(k for k in module.params if k.startswith("_ansible_")))\n',
    [`${COLL}/plugins/module_utils/deep/__init__.py`]: '',
    [`${COLL}/plugins/module_utils/deep/one.py`]: 'from .two import three\nfrom ansible_collections.ns.other.plugins.module_utils.far import FAR\ndef say():\n    return three() + FAR\n',
    [`${COLL}/plugins/module_utils/deep/two.py`]: 'from ansible.module_utils.helper import GREETING\nfrom ansible.module_utils.makes.up.more import MADE\ntry:\n    from ansible.module_utils import nowhere\nexcept ImportError:\n    pass\ndef three():\n    return GREETING\n',
    [`${COLL}/plugins/module_utils/unused.py`]: '',
    [`${COLL}/plugins/plugin_utils/types.py`]: 'from ansible.errors import AnsibleError\n',
    'core/module_utils/makes.py': "import sys, types\n__path__ = []\nfor n in ('up', 'up.more'):\n    m = sys.modules[__name__ + '.' + n] = types.ModuleType(n)\n    m.__path__ = []\n    m.MADE = 1\n",
    'collections/ansible_collections/ns/other/plugins/module_utils/far.py': 'FAR = " world"\n',
  });
  const sources = { core: join(folder, 'core'), utils: [], beside: [folder] };
  const path = join(folder, COLL, 'plugins/modules/thing.py');
  const { archive, files } = pack(path, 'ansible_collections.ns.coll.plugins.modules.thing', sources);
  t.true(files.includes('ansible_collections/ns/other/plugins/module_utils/far.py'));
  t.false(files.some((name) => /unused|plugin_utils/.test(name) || name.includes('nowhere')));
  t.deepEqual(Object.keys(unzipSync(archive)).sort(), ['__main__.py', ...files].sort());
  t.deepEqual(pack(path, 'ansible_collections.ns.coll.plugins.modules.thing', sources).archive, archive, 'the same again');
  const zip = join(folder, 'archive');
  writeFileSync(zip, archive);
  const told = execFileSync('python3', [zip, 'ansible_collections.ns.coll.plugins.modules.thing'], { input: JSON.stringify({ name: 'ä', _ansible_check_mode: false, _ansible_newer: 1 }), encoding: 'utf8' });
  t.deepEqual(JSON.parse(told), { said: 'hello world', name: 'ä', known: ['_ansible_check_mode', '_ansible_tmpdir'] });
});

test("the project's module_utils come before ansible-core's", async (t) => {
  const folder = await folderWith(t, { ...CORE, 'library/own.py': 'from ansible.module_utils.helper import GREETING\n', 'module_utils/helper.py': 'GREETING = "mine"\n' });
  const { archive } = pack(join(folder, 'library/own.py'), 'ansible.modules.own', { core: join(folder, 'core'), utils: [join(folder, 'module_utils')], beside: [] });
  t.is(Buffer.from(unzipSync(archive)['ansible/module_utils/helper.py']!).toString(), 'GREETING = "mine"\n');
});

test('what is missing is said before anything travels', async (t) => {
  const folder = await folderWith(t, {
    ...CORE,
    'library/gone.py': 'from ansible.module_utils.nowhere import x\n',
    'library/other.py': 'from ansible_collections.a.b.plugins.module_utils.c import d\n',
    'library/controller.py': 'from ansible.errors import AnsibleError\n',
  });
  const attempt = (name: string, core: string | undefined) => t.throws(() => pack(join(folder, `library/${name}.py`), `ansible.modules.${name}`, { core, utils: [], beside: [folder] }));
  t.regex(attempt('gone', join(folder, 'core')).message, /gone\.py imports ansible\.module_utils\.nowhere, which is not on this machine$/);
  t.regex(attempt('other', join(folder, 'core')).message, /imports ansible_collections\.a\.b\.plugins\.module_utils\.c, /);
  t.regex(attempt('controller', join(folder, 'core')).message, /imports ansible\.errors, which belongs to Ansible's controller$/);
  t.regex(attempt('gone', undefined).message, /needs ansible-core's module_utils/);
});
