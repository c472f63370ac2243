/** Keys, requests and certificates by the real openssl; what comes out is read by Node's own crypto. */
import test from 'ava';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { opensslCsr } from '../../src/modules/openssl_csr.js';
import { opensslDhparam } from '../../src/modules/openssl_dhparam.js';
import { opensslPrivatekey } from '../../src/modules/openssl_privatekey.js';
import { opensslPrivatekeyInfo } from '../../src/modules/openssl_privatekey_info.js';
import { x509Certificate } from '../../src/modules/x509_certificate.js';
import type { Secret } from '../../src/value/value.js';
import { converge, inShells, look, modeOf, type Place } from './harness.js';

/** openssl is no part of busybox: it stands beside its tools. */
function openssl(place: Place): void {
  if (place.shell === 'busybox') place.env['PATH'] = `${place.env['PATH']}:/usr/bin`;
}

inShells(test, 'private keys are made, told apart, and kept', async (t, place) => {
  openssl(place);
  const path = join(place.dir, 'a key');
  const rsa = { path, size: 1024 };
  const first = await converge(t, place, opensslPrivatekey, rsa);
  t.like(first.result, { filename: path, type: 'RSA', size: 1024, mode: '0600', changed: undefined });
  t.regex(String((first.result['fingerprint'] as any).sha256), /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
  t.regex(await readFile(path, 'utf8'), /^-----BEGIN RSA PRIVATE KEY-----/);
  const again = await converge(t, place, opensslPrivatekey, rsa);
  t.deepEqual([again.changes, again.result['fingerprint']], [[], first.result['fingerprint']]);
  await t.throwsAsync(look(t, place, opensslPrivatekey, { ...rsa, size: 2048, regenerate: 'fail' }), { message: /holds another key: RSA 1024, not RSA 2048/ });
  t.deepEqual((await look(t, place, opensslPrivatekey, { ...rsa, size: 2048, regenerate: 'never' })).changes, []);
  const told = await converge(t, place, opensslPrivatekey, { ...rsa, return_content: true });
  t.is((told.result['privatekey'] as Secret).reveal(), await readFile(path, 'utf8'));
  const made = await converge(t, place, opensslPrivatekey, { path: `${path} too`, size: 1024, return_content: true });
  t.is((made.result['privatekey'] as Secret).reveal(), await readFile(`${path} too`, 'utf8'));
  t.false(JSON.stringify([told.result, made.result]).includes('BEGIN RSA'));
  const converted = await converge(t, place, opensslPrivatekey, { ...rsa, format: 'pkcs8', format_mismatch: 'convert' });
  t.deepEqual([converted.changes.map(({ field }) => field), converted.result['fingerprint']], [['format'], first.result['fingerprint']]);
  const ecc = await converge(t, place, opensslPrivatekey, { path, type: 'ECC', curve: 'secp256r1', backup: true });
  t.like(ecc.result, { type: 'ECC', curve: 'secp256r1', size: 256 });
  t.is(createPrivateKey(await readFile(String(ecc.result['backup_file']))).asymmetricKeyType, 'rsa');
  await converge(t, place, opensslPrivatekey, { path, type: 'Ed25519', passphrase: "it's $ecret" });
  t.is(createPrivateKey({ key: await readFile(path), passphrase: "it's $ecret" }).asymmetricKeyType, 'ed25519');
  await t.throwsAsync(look(t, place, opensslPrivatekey, { path, type: 'Ed25519', passphrase: 'other', regenerate: 'partial_idempotence' }), { message: /cannot read the key/ });
  await writeFile(path, 'broken');
  await converge(t, place, opensslPrivatekey, { path, type: 'X25519' });
  await converge(t, place, opensslPrivatekey, { path, state: 'absent' });
});

inShells(test, 'requests and certificates: signed by themselves and by an authority', async (t, place) => {
  openssl(place);
  const at = (name: string): string => join(place.dir, name);
  const ec = { type: 'ECC', curve: 'secp256r1' };
  await converge(t, place, opensslPrivatekey, { path: at('ca.key'), ...ec, passphrase: 'p w' });
  await converge(t, place, opensslPrivatekey, { path: at('web.key'), ...ec });
  const ca = { path: at('ca.csr'), privatekey_path: at('ca.key'), privatekey_passphrase: 'p w', common_name: 'Ünser "CA"', use_common_name_for_san: false };
  await converge(t, place, opensslCsr, { ...ca, basic_constraints: ['CA:TRUE', 'pathlen:0'], basic_constraints_critical: true, key_usage: ['keyCertSign', 'cRLSign'], key_usage_critical: true });
  await converge(t, place, x509Certificate, { path: at('ca.crt'), provider: 'selfsigned', csr_path: at('ca.csr'), privatekey_path: at('ca.key'), privatekey_passphrase: 'p w' });
  const authority = new X509Certificate(await readFile(at('ca.crt')));
  t.is(authority.subject, String.raw`CN=Ünser \"CA\"`);
  t.true(authority.ca && authority.verify(authority.publicKey));

  const request = { path: at('web.csr'), privatekey_path: at('web.key'), country_name: 'DE', organization_name: 'A, B & $C; #1', common_name: 'www.example.com', subject: { OU: ['x', 'y'] } };
  const { result } = await converge(t, place, opensslCsr, request);
  t.deepEqual(result['subject'], [['C', 'DE'], ['O', 'A, B & $C; #1'], ['CN', 'www.example.com'], ['OU', 'x'], ['OU', 'y']]);
  t.deepEqual(result['subjectAltName'], ['DNS:www.example.com']);
  const full = { ...request, subject_alt_name: ['DNS:a.example.com', 'IP:192.0.2.1', 'email:x@example.com', 'URI:https://example.com/?a=b,c'], extended_key_usage: ['serverAuth', 'clientAuth'], key_usage: ['digitalSignature'], ocsp_must_staple: true, name_constraints_permitted: ['DNS:.example.com', 'IP:192.0.2.0/20'], create_subject_key_identifier: true, crl_distribution_points: [{ full_name: ['URI:https://example.com/crl'], reasons: ['key_compromise'] }] };
  t.is((await converge(t, place, opensslCsr, full)).changes.length, 1);

  const issue = { path: at('web.crt'), provider: 'ownca', csr_path: at('web.csr'), ownca_path: at('ca.crt'), ownca_privatekey_path: at('ca.key'), ownca_privatekey_passphrase: 'p w', ownca_not_after: '+30d', mode: '0640', return_content: true };
  const issued = await converge(t, place, x509Certificate, issue);
  const text = await readFile(at('web.crt'), 'utf8');
  t.is(issued.result['certificate'], text);
  t.is(await modeOf(at('web.crt')), '0640');
  const web = new X509Certificate(text);
  t.true(web.verify(authority.publicKey) && web.checkIssued(authority) && web.checkPrivateKey(createPrivateKey(await readFile(at('web.key')))));
  t.regex(web.subjectAltName!, /DNS:a\.example\.com, IP Address:192\.0\.2\.1, email:x@example\.com, URI:"?https:\/\/example\.com\/\?a=b(,|\\u002c)c/);
  t.true(Math.abs(Date.parse(web.validTo) - Date.now() - 30 * 86400_000) < 60_000);
  t.deepEqual((await converge(t, place, x509Certificate, { ...issue, ownca_not_after: '+60d' })).changes, []);

  // Another request, and another authority of the same name.
  await converge(t, place, opensslCsr, { ...full, extended_key_usage: ['serverAuth'] });
  t.is((await converge(t, place, x509Certificate, issue)).changes[0]!.field, 'certificate');
  await converge(t, place, opensslPrivatekey, { path: at('ca.key'), ...ec, passphrase: 'p w', force: true });
  await converge(t, place, opensslCsr, { ...ca, basic_constraints: ['CA:TRUE'] });
  await converge(t, place, x509Certificate, { path: at('ca.crt'), provider: 'selfsigned', csr_path: at('ca.csr'), privatekey_path: at('ca.key'), privatekey_passphrase: 'p w' });
  t.is((await converge(t, place, x509Certificate, { ...issue, ownca_create_authority_key_identifier: true })).changes.length, 1);
  await converge(t, place, x509Certificate, { path: at('web.crt'), state: 'absent' });
  // What is given as text goes the same way.
  const given = { path: at('given.csr'), privatekey_content: await readFile(at('web.key'), 'utf8'), common_name: 'x' };
  await converge(t, place, opensslCsr, given);
  const csr_content = await readFile(at('given.csr'), 'utf8');
  await converge(t, place, x509Certificate, { path: at('given.crt'), provider: 'selfsigned', csr_content, privatekey_content: given.privatekey_content });
  t.throws(() => x509Certificate.params.parse({ path: '/x', provider: 'ownca' }), { message: /csr_path/ });
  await t.throwsAsync(look(t, place, opensslCsr, { path: at('x'), privatekey_path: at('nowhere') }), { message: /nowhere/ });
});

inShells(test, 'a request names the key and the certificate of its authority', async (t, place) => {
  openssl(place);
  const at = (name: string): string => join(place.dir, name);
  await converge(t, place, opensslPrivatekey, { path: at('key'), type: 'Ed25519' });
  const args = { path: at('csr'), privatekey_path: at('key'), common_name: 'x', authority_key_identifier: '00:11:22:AA' };
  await converge(t, place, opensslCsr, args);
  // The SEQUENCE of one [0] with the four bytes.
  const der = async (): Promise<string> => Buffer.from((await readFile(at('csr'), 'utf8')).replace(/-----.*-----/g, ''), 'base64').toString('hex');
  t.true((await der()).includes('0603551d230408' + '30068004' + '001122aa'));
  const issuer = { authority_cert_issuer: ['DNS:ca.example.org', 'IP:192.0.2.1', 'IP:2001:db8::1', 'dirName:CN=Ünser\\, $CA, O = Org,C=DE'], authority_cert_serial_number: '1234567890123456789012345678901234567890' };
  t.is((await converge(t, place, opensslCsr, { ...args, ...issuer })).changes.length, 1);
  const bytes = await der();
  for (const part of ['820e' + Buffer.from('ca.example.org').toString('hex'), '8704c0000201', '871020010db8000000000000000000000001', '8211' + BigInt(issuer.authority_cert_serial_number).toString(16).padStart(34, '0')]) t.true(bytes.includes(part), part);
  t.true(bytes.includes('06035504061302' + '4445' + '310c300a060355040a0c034f7267' + '3114301206035504030c0b' + Buffer.from('Ünser, $CA').toString('hex')));
  t.deepEqual((await look(t, place, opensslCsr, { ...args, ...issuer })).changes, []);
  for (const [wrong, message] of [[{ authority_key_identifier: 'x' }, /no bytes/], [{ ...issuer, authority_cert_issuer: ['CN=x'] }, /no name of an issuer/], [{ ...issuer, authority_cert_issuer: ['dirName:x'] }, /no name of a directory/]] as const) await t.throwsAsync(look(t, place, opensslCsr, { ...args, ...wrong }), { message });
  t.throws(() => opensslCsr.params.parse({ ...args, authority_cert_serial_number: 1 }), { message: /given together/ });
});

inShells(test, 'a private key is told of', async (t, place) => {
  openssl(place);
  const at = (name: string): string => join(place.dir, name);
  const tell = async (args: object) => (await converge(t, place, opensslPrivatekeyInfo, args)).result as { [name: string]: any };
  const big = (text: string | undefined): bigint => BigInt(`0x${Buffer.from(text!, 'base64url').toString('hex')}`);
  await converge(t, place, opensslPrivatekey, { path: at('rsa'), size: 1024, passphrase: "p' w" });
  const rsa = await tell({ path: at('rsa'), passphrase: "p' w", return_private_key_data: true, check_consistency: true });
  const jwk = createPrivateKey({ key: await readFile(at('rsa')), passphrase: "p' w" }).export({ format: 'jwk' });
  t.like(rsa, { can_load_key: true, can_parse_key: true, key_is_consistent: true, type: 'RSA', public_data: { size: 1024, modulus: big(jwk.n), exponent: 65537 } });
  t.deepEqual(['p', 'q', 'exponent'].map((name) => rsa['private_data'][name].reveal()), [big(jwk.p), big(jwk.q), big(jwk.d)]);
  t.is(createPublicKey(rsa['public_key']).asymmetricKeyType, 'rsa');
  t.false(JSON.stringify(rsa['private_data']).includes(String(big(jwk.p))));
  for (const more of [{}, { passphrase: 'wrong' }]) await t.throwsAsync(tell({ path: at('rsa'), ...more }), { message: /Wrong or empty passphrase/ });
  await converge(t, place, opensslPrivatekey, { path: at('ecc'), type: 'ECC', curve: 'secp256r1' });
  const content = await readFile(at('ecc'), 'utf8');
  const point = createPrivateKey(content).export({ format: 'jwk' });
  const ecc = await tell({ content, return_private_key_data: true });
  t.deepEqual([ecc['public_data'], ecc['private_data'].multiplier.reveal(), ecc['key_is_consistent']], [{ curve: 'secp256r1', exponent_size: 256, x: big(point.x), y: big(point.y) }, big(point.d), null]);
  await t.throwsAsync(tell({ content, passphrase: 'x' }), { message: /is not encrypted/ });
  await converge(t, place, opensslPrivatekey, { path: at('dsa'), type: 'DSA', size: 1024 });
  const dsa = await tell({ path: at('dsa'), return_private_key_data: true });
  const { p, q, g, y, size } = dsa['public_data'];
  const power = (base: bigint, exponent: bigint): bigint => (exponent === 0n ? 1n : (power((base * base) % p, exponent / 2n) * (exponent % 2n ? base : 1n)) % p);
  t.deepEqual([size, (p - 1n) % q, power(g, dsa['private_data'].x.reveal())], [1024, 0n, y]);
  await converge(t, place, opensslPrivatekey, { path: at('ed'), type: 'Ed25519' });
  t.like(await tell({ path: at('ed'), return_private_key_data: true }), { type: 'Ed25519', public_data: {}, private_data: {} });
  await writeFile(at('broken'), 'broken');
  const wrong = createPrivateKey({ key: { ...jwk, d: Buffer.from((big(jwk.d) ^ 6n).toString(16).padStart(256, '0'), 'hex').toString('base64url') }, format: 'jwk' });
  await writeFile(at('wrong'), wrong.export({ type: 'pkcs8', format: 'pem' }));
  await t.throwsAsync(tell({ path: at('wrong'), check_consistency: true }), { message: /is not consistent/ });
  await t.throwsAsync(tell({ path: at('broken') }), { message: /cannot read the key/ });
  await t.throwsAsync(tell({ path: at('none') }), { message: /Error while reading private key file from disk/ });
  t.throws(() => opensslPrivatekeyInfo.params.parse({}), { message: /path or content/ });
});

inShells(test, 'Diffie-Hellman parameters', async (t, place) => {
  openssl(place);
  const path = join(place.dir, 'dh.pem');
  const { result } = await converge(t, place, opensslDhparam, { path, size: 512, return_content: true });
  t.is(result['dhparams'], await readFile(path, 'utf8'));
  t.deepEqual((await look(t, place, opensslDhparam, { path, size: 512 })).changes, []);
});
