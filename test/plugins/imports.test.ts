import test from 'ava';
import { importsOf } from '../../src/plugins/imports.js';

const names = (text: string, module = 'ansible.modules.thing', isPackage = false) => importsOf(text, module, isPackage).map(({ name, maybe, optional }) => `${name}${maybe ? '?' : ''}${optional ? ' (optional)' : ''}`);

test('every form of import', (t) => {
  t.deepEqual(names('from ansible.module_utils.basic import AnsibleModule, env_fallback as fallback\nimport os, ansible.module_utils.urls as urls\n'), [
    'ansible.module_utils.basic', 'ansible.module_utils.basic.AnsibleModule?', 'ansible.module_utils.basic.env_fallback?', 'os', 'ansible.module_utils.urls',
  ]);
  t.deepEqual(names('from a.b import (  # why\n    c,\n    d as e,\n)\nfrom f import g, \\\n    h\nfrom i import *'), ['a.b', 'a.b.c?', 'a.b.d?', 'f', 'f.g?', 'f.h?', 'i']);
});

test('relative ones begin at the package of the module', (t) => {
  const inside = 'ansible_collections.ns.coll.plugins.modules.thing';
  t.deepEqual(names('from ..module_utils.help import x\nfrom . import other', inside), [
    'ansible_collections.ns.coll.plugins.module_utils.help', 'ansible_collections.ns.coll.plugins.module_utils.help.x?', 'ansible_collections.ns.coll.plugins.modules', 'ansible_collections.ns.coll.plugins.modules.other?',
  ]);
  t.deepEqual(names('from .a import b\nfrom ..c import d', 'x.y', true), ['x.y.a', 'x.y.a.b?', 'x.c', 'x.c.d?']);
  t.deepEqual(names('from .....a import b', 'x.y'), []);
});

test('what may fail is optional; strings and comments import nothing', (t) => {
  t.deepEqual(names("try:\n    import json5\nexcept ImportError:\n    json5 = None\nif True: from q import w\n"), ['q (optional)', 'q.w? (optional)', 'json5 (optional)']);
  t.deepEqual(names('"""\nfrom a import b\nimport c\n"""\n# import d\nX = \'\'\'\nimport e\n\'\'\'\ny = "\\"\\\nimport f"\nimport g  # import h\n'), ['g']);
});
