import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { templateVariables } from '../../src/engine/template-variables.js';
import { scopeOf } from '../expression/scope.js';

test('a template is told of itself', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'template-variables-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'a.j2');
  writeFileSync(path, '');
  const known = Object.fromEntries(templateVariables(path, '/etc/a', scopeOf())) as { [name: string]: unknown };
  t.like(known, { ansible_managed: 'Ansible managed', template_host: hostname(), template_path: path, template_fullpath: path, template_destpath: '/etc/a', template_uid: userInfo().username });
  t.false(templateVariables(path, undefined, scopeOf({ ansible_managed: 'ours' })).has('ansible_managed'));
});
