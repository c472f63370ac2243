import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Writes files into a folder that goes with the test. @param files path -> content */
export async function folderWith(t: ExecutionContext, files: { [path: string]: string }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-plugins-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** Stands in for ansible-core: as much of `AnsibleModule` as modules of the tests use, written for them. */
export const CORE = {
  'core/release.py': "__version__ = '2.19.5'\n",
  'core/module_utils/__init__.py': '',
  'core/module_utils/common/__init__.py': '',
  'core/module_utils/common/parameters.py': "PASS_VARS = {'check_mode': 1, 'diff': 1, 'tmpdir': 1, 'no_log': 1, 'module_name': 1}\n",
  'core/module_utils/helper.py': 'GREETING = "hello"\n',
  'core/module_utils/basic.py': `
import json
import sys
from ansible.module_utils.common import parameters
_ANSIBLE_ARGS = None
_ANSIBLE_PROFILE = None
class AnsibleModule(object):
    def __init__(self, supports_check_mode=False):
        self.params = json.loads(_ANSIBLE_ARGS.decode('utf-8'))['ANSIBLE_MODULE_ARGS']
        self.check_mode = self.params['_ansible_check_mode']
        if self.check_mode and not supports_check_mode:
            self.exit_json(skipped=True, msg='no check mode here')
    def exit_json(self, **result):
        print(json.dumps(result))
        sys.exit(0)
    def fail_json(self, **result):
        print(json.dumps(dict(result, failed=True)))
        sys.exit(1)
`,
};
