import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { folder } from './folder.js';
import { muster } from './muster.js';

/** What is wrong is told before any host is waited for: nobody answers at these addresses. */
const wrong: { [name: string]: { args: string[]; says: RegExp } } = {
  'a fingerprint that is none': { args: ['--fingerprint', 'MD5:00'], says: /is no fingerprint/ },
  'one name for two hosts': { args: ['b=192.0.2.2', '--hostname', 'x'], says: /--hostname is for one host/ },
  'a host given twice': { args: ['a=192.0.2.2'], says: /host "a" is given twice/ },
  'a port that is none': { args: ['--ssh-port', '70000'], says: /--ssh-port must be a port/ },
  'a private key for the public one': { args: ['--key', 'k'], says: /k is a private key.*--key k\.pub/s },
  'a key that is not there': { args: ['--key', 'nope.pub'], says: /the key nope\.pub cannot be read/ },
  'root as administrator': { args: ['--admin', 'root'], says: /"root" cannot be the administrator of a/ },
  'an inventory in a folder that is not there': { args: ['-i', 'nowhere/hosts.yml'], says: /there is no inventory nowhere\/hosts\.yml, and none of that name can be made/ },
  'a playbook that is wrong': { args: ['--playbook', 'bad.yml'], says: /bad\.yml:3:.*"stat"/s },
  'a group of no such name': { args: ['-g', 'all'], says: /--group "all" is no name of a group/ },
  'an inventory that is wrong': { args: ['-i', 'bad.yml'], says: /bad\.yml:1/ },
  'a flag that is none': { args: ['--fingerprints', 'x'], says: /did you mean --fingerprint\?/ },
};
for (const [name, { args, says }] of Object.entries(wrong))
  test(`refused: ${name}`, async (t) => {
    const dir = await folder(t, { 'bad.yml': '- hosts: all\n  tasks:\n    - apt: {name: x, stat: present}\n' });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'k')]);
    const given = args.includes('--key') ? [] : ['--key', 'k.pub'];
    const ran = await muster(['bootstrap', 'a=192.0.2.1', ...given, ...args], { cwd: dir });
    t.is(ran.code, 1, ran.stderr);
    t.regex(ran.stderr, says);
    t.is(ran.stdout, '');
  });
