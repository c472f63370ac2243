import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../src/lab/run.js';
import type { Event } from '../../src/report/events.js';
import { muster } from '../cli/muster.js';
import { Outcome } from './stack.js';

/** The role on this machine, with a project's folder as its host's disk. */
const site = `- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - include_role: {name: certificate}
      vars: {certificate_name: web, certificate_dir: "{{ folder }}/tls", certificate_notify: told}
  handlers:
    - {name: told, copy: {content: "{{ now() }}", dest: "{{ folder }}/told"}}
`;
const names = { certificate_ca_dir: '{{ folder }}/ca', certificate_sans: ['www.example.com', '192.0.2.1'] };
let folder: string;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-certificate-'));
  await writeFile(join(folder, 'site.yml'), site);
  await symlink(join(process.cwd(), 'playbooks/roles'), join(folder, 'roles'));
  await symlink(join(process.cwd(), 'templates'), join(folder, 'templates'));
});

test.after.always(() => rm(folder, { recursive: true }));

async function apply(vars: object, verb = 'apply'): Promise<Outcome> {
  await writeFile(join(folder, 'vars.json'), JSON.stringify({ folder, ...vars }));
  const verify = verb === 'apply' ? ['--verify'] : [];
  const ran = await muster([verb, 'site.yml', '-i', 'localhost,', '-e', '@vars.json', '--output', 'json', '--diff', ...verify], { cwd: folder });
  return new Outcome(ran.code, ran.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Event), ran.stderr);
}
const read = (file: string) => readFile(join(folder, file), 'utf8');
const certificate = async (file = 'tls/web.crt') => new X509Certificate(await read(file));

test.serial('a private authority issues a certificate once', async (t) => {
  const plan = await apply(names, 'plan');
  t.is(plan.code, 2, plan.told);
  const made = await apply(names);
  t.is(made.code, 0, made.told);
  t.true(made.results('changed').some(({ task }) => task === 'told'));
  const [own, authority] = [await certificate(), await certificate('tls/ca.crt')];
  t.is(own.subjectAltName, 'DNS:www.example.com, IP Address:192.0.2.1');
  t.true(own.verify(authority.publicKey));
  t.false(own.ca);
  t.true(authority.ca);
  t.is(await read('tls/web.pem'), (await read('tls/web.crt')) + (await read('tls/web.key')));
  t.is((await run('stat', ['-c', '%a', ...['crt', 'key', 'pem'].map((ending) => join(folder, `tls/web.${ending}`))])).trim(), '644\n600\n600');
  const again = await apply(names);
  t.deepEqual(again.results('changed'), []);
  t.is((await apply(names, 'plan')).code, 0);
  for (const { events } of [made, again]) t.false(JSON.stringify(events).includes((await read('tls/web.key')).split('\n')[1]!));
});

/** Each: what makes the certificate that is there the wrong one. */
const reasons: { [title: string]: { vars?: object; before?: () => Promise<void> } } = {
  'other names': { vars: { certificate_sans: ['other.example.com'] } },
  'its end is near': { vars: { certificate_renew_days: 398 } },
  'another authority': { before: () => rename(join(folder, 'ca/ca.crt'), join(folder, 'ca/old.crt')) },
  'a key that is not its own': { before: async () => void (await run('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', join(folder, 'ca/hosts/localhost/web.key')])) },
};
for (const [title, { vars, before }] of Object.entries(reasons)) {
  test.serial(`it is issued anew: ${title}`, async (t) => {
    t.is((await apply(names)).code, 0);
    const old = await certificate();
    await before?.();
    const renewed = await apply({ ...names, ...vars });
    t.is(renewed.code, 0, renewed.told);
    const fresh = await certificate();
    t.not(fresh.serialNumber, old.serialNumber);
    t.true(fresh.verify((await certificate('tls/ca.crt')).publicKey));
    t.true(fresh.checkPrivateKey(createPrivateKey(await read('tls/web.key'))));
  });
}

test.serial('an authority that would end first issues nothing', async (t) => {
  await rename(join(folder, 'ca'), join(folder, 'long'));
  const short = await apply({ ...names, certificate_ca_days: 100 });
  t.is(short.code, 3);
  t.regex(short.told, /the authority would end before the certificate \(notAfter=.*have a new one made by moving/);
  await rename(join(folder, 'ca'), join(folder, 'short'));
  await rename(join(folder, 'long'), join(folder, 'ca'));
  t.is((await apply(names)).code, 0);
});

test.serial('a given certificate is installed if it is valid and the key its own', async (t) => {
  const key = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', join(folder, `${name}.key`), '-subj', `/CN=${name}`];
  await run('openssl', ['req', '-x509', ...key('one'), '-days', '10', '-out', join(folder, 'one.crt')]);
  await run('openssl', ['req', ...key('two'), '-out', join(folder, 'two.csr')]);
  const given = async (crt: string, key: string) => apply({ certificate_mode: 'given', certificate_sans: ['x'], certificate_chain: await read(`${crt}.crt`), certificate_key: await read(`${key}.key`) });
  const good = await given('one', 'one');
  t.is(good.code, 0, good.told);
  t.is(await read('tls/web.pem'), (await read('one.crt')) + (await read('one.key')));
  t.is((await run('readlink', [join(folder, 'tls/ca.crt')])).trim(), '/etc/ssl/certs/ca-certificates.crt');
  t.deepEqual((await given('one', 'one')).results('changed'), []);
  const wrong = await given('one', 'two');
  t.is(wrong.code, 3);
  t.regex(wrong.told, /web: certificate_key is the key of another certificate/);
  // `openssl ca` is the one that makes certificates of the past.
  await writeFile(join(folder, 'index'), '');
  await writeFile(join(folder, 'serial'), '01\n');
  await writeFile(join(folder, 'ca.cnf'), `[ca]\ndefault_ca=own\n[own]\ndatabase=${join(folder, 'index')}\nnew_certs_dir=${folder}\nserial=${join(folder, 'serial')}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`);
  const past = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z'];
  await run('openssl', ['ca', '-batch', '-selfsign', '-notext', '-config', join(folder, 'ca.cnf'), ...past, '-in', join(folder, 'two.csr'), '-keyfile', join(folder, 'two.key'), '-out', join(folder, 'two.crt')]);
  const ended = await given('two', 'two');
  t.regex(ended.told, /web: the certificate has ended: notAfter=/);
  t.is(await read('tls/web.crt'), await read('one.crt'));
  for (const { events } of [good, wrong]) t.false(JSON.stringify(events).includes((await read('one.key')).split('\n')[1]!));
});
