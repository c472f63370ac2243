import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { unzipSync } from 'fflate';
import { pack } from '../../src/plugins/pack.js';
import type { ContentError } from '../../src/value/errors.js';
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

test('module_utils that runtime.yml leads elsewhere travel under both names', async (t) => {
  const folder = await folderWith(t, {
    ...CORE,
    'core/config/ansible_builtin_runtime.yml': 'plugin_routing:\n  module_utils:\n    helper: {redirect: ns.other.shadowed}\n    left.long.ago: {redirect: ns.other.far}\n',
    [`${COLL}/meta/runtime.yml`]: `plugin_routing:
  module_utils:
    old: {redirect: ns.coll.newer}
    newer: {redirect: ansible_collections.ns.other.plugins.module_utils.far}
    once.deep: {redirect: ns.other.pack}
    lost: {redirect: not.here.util}
    gone: {tombstone: {warning_text: use far}}
    round: {redirect: ns.coll.about}
    about: {redirect: ns.coll.round}
`,
    [`${COLL}/plugins/modules/thing.py`]: `from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.helper import GREETING
from ansible.module_utils.left.long.ago import FAR as core_far
from ..module_utils import old
from ..module_utils.old import FAR
from ..module_utils.once import deep
import ansible_collections.ns.coll.plugins.module_utils.once.deep
try:
    from ..module_utils.lost import x
except ImportError:
    x = 'left out'
module = AnsibleModule()
module.exit_json(said=[GREETING, core_far, FAR, deep.DEEP, x], same=old.__name__)
`,
    [`${COLL}/plugins/module_utils/old.py`]: 'FAR = "what was here before"\n',
    ...Object.fromEntries(['lost', 'gone', 'round'].map((name) => [`${COLL}/plugins/modules/${name}.py`, `from ansible.module_utils.basic import AnsibleModule\nfrom ..module_utils import ${name}\n`])),
    'collections/ansible_collections/ns/other/plugins/module_utils/far.py': 'from .near import NEAR\nFAR = "far" + NEAR\n',
    'collections/ansible_collections/ns/other/plugins/module_utils/near.py': 'NEAR = " and near"\n',
    'collections/ansible_collections/ns/other/plugins/module_utils/pack/__init__.py': 'DEEP = "deep"\n',
  });
  const sources = { core: join(folder, 'core'), utils: [], beside: [folder] };
  const packed = (name: string) => pack(join(folder, COLL, `plugins/modules/${name}.py`), `ansible_collections.ns.coll.plugins.modules.${name}`, sources);
  const zip = join(folder, 'archive');
  writeFileSync(zip, packed('thing').archive);
  const told = execFileSync('python3', [zip, 'ansible_collections.ns.coll.plugins.modules.thing'], { input: JSON.stringify({ _ansible_check_mode: false }), encoding: 'utf8' });
  t.deepEqual(JSON.parse(told), { said: ['hello', 'far and near', 'far and near', 'deep', 'left out'], same: 'ansible_collections.ns.other.plugins.module_utils.far' });
  const util = 'ansible_collections\\.ns\\.coll\\.plugins\\.module_utils';
  const lost = t.throws(() => packed('lost')) as ContentError;
  t.regex(lost.message, new RegExp(`lost\\.py imports ${util}\\.lost, which is ansible_collections\\.not\\.here\\.plugins\\.module_utils\\.util now: that is not on this machine$`));
  t.is(lost.hint, 'install the collection not.here');
  const gone = t.throws(() => packed('gone')) as ContentError;
  t.regex(gone.message, new RegExp(`gone\\.py imports ${util}\\.gone, which is gone$`));
  t.is(gone.hint, 'use far');
  t.throws(() => packed('round'), { message: /module_utils\.round, whose redirects .* lead round in a circle$/ });
});
