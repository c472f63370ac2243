import test from 'ava';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getUrl } from '../../src/modules/get_url.js';
import { converge, inShells, look, modeOf, type Place } from './harness.js';

const CONTENT = Buffer.from('fetched\0\xff\n', 'latin1');
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

/** A server on the loopback that gives CONTENT, 404 for /none, and asks for a password and a header under /secret. */
async function served<T>(body: (base: string, asked: () => number) => Promise<T>): Promise<T> {
  let count = 0;
  const server = createServer((request, response) => {
    count++;
    const basic = `Basic ${Buffer.from('me:p"\\ w').toString('base64')}`;
    if (request.url?.startsWith('/sums')) response.end(request.url === '/sums1' ? `${SHA256}\n` : `${'0'.repeat(64)}  y\n${SHA256}. *./x\n`);
    else if (request.url === '/none') response.writeHead(404).end();
    else if (request.url === '/secret' && (request.headers.authorization !== basic || request.headers['x-token'] !== 'a "b"')) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
    else if (request.url === '/netrc' && request.headers.authorization !== `Basic ${Buffer.from('me:secret').toString('base64')}`) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
    else response.end(CONTENT);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => count);
  } finally {
    server.close();
  }
}

/** Leaves only one way to download on PATH. */
async function only(place: Place, tool: string | undefined): Promise<void> {
  const tools = join(place.dir, '..', 'few');
  await mkdir(tools);
  for (const name of ['mktemp', 'cat', 'rm', 'mv', 'chmod', 'chown', 'cp', 'stat', 'sha256sum', 'sha1sum', 'date', 'wc', 'readlink', 'mkdir', 'grep', ...(tool === undefined ? [] : [tool])]) {
    await symlink(`/usr/bin/${name}`, join(tools, name));
  }
  place.env['PATH'] = tools;
}

inShells(test, 'name and password come out of a netrc, unless they may not; another folder to fetch into', async (t, place) => {
  await served(async (base) => {
    const dest = join(place.dir, 'f');
    place.env['NETRC'] = join(place.dir, "it's netrc");
    await writeFile(place.env['NETRC'], 'machine 127.0.0.1 login me password secret\n');
    const args = { url: `${base}/netrc`, dest, tmp_dest: join(place.dir, 'tmp dir') };
    await t.throwsAsync(converge(t, place, getUrl, args), { message: /tmp dir/ });
    await mkdir(args.tmp_dest);
    await t.throwsAsync(converge(t, place, getUrl, { ...args, use_netrc: false }), { message: /401/ });
    await converge(t, place, getUrl, args);
    t.deepEqual(await readFile(dest), CONTENT);
    t.deepEqual(await readdir(args.tmp_dest), []);
    await t.throwsAsync(converge(t, place, getUrl, { ...args, force: true, ciphers: 'NO-SUCH-CIPHER', url: base.replace('http:', 'https:') }), { message: /cipher/i });
  });
}, ['dash', 'bash']);

inShells(test, 'a file is fetched once, and again when it has another checksum', async (t, place) => {
  await served(async (base, asked) => {
    const dest = join(place.dir, 'f');
    const { result } = await converge(t, place, getUrl, { url: `${base}/x`, dest, mode: '0600' });
    t.deepEqual(await readFile(dest), CONTENT);
    t.is(await modeOf(dest), '0600');
    t.like(result, { dest, size: CONTENT.length, state: 'file' });
    await writeFile(dest, 'mine');
    t.deepEqual((await look(t, place, getUrl, { url: `${base}/x`, dest })).changes, []);
    await converge(t, place, getUrl, { url: `${base}/x`, dest, checksum: `sha256:${SHA256}` });
    t.is(asked(), 2);
    await writeFile(dest, 'mine');
    await converge(t, place, getUrl, { url: `${base}/x`, dest, force: true });
    t.deepEqual(await readFile(dest), CONTENT);
    const sha1 = createHash('sha1').update(CONTENT).digest('hex');
    const again = await converge(t, place, getUrl, { url: `${base}/x`, dest, force: true });
    t.like(again.result, { changed: false, msg: `OK (${CONTENT.length} bytes)`, status_code: 200, checksum_src: sha1, checksum_dest: sha1 });
    t.is((await converge(t, place, getUrl, { url: `${base}/x`, dest, force: true, mode: '0640' })).result['changed'], undefined);
    t.is(await modeOf(dest), '0640');
    t.is((await converge(t, place, getUrl, { url: `${base}/x`, dest })).result['msg'], 'file already exists');
    await mkdir(join(place.dir, 'd'));
    await converge(t, place, getUrl, { url: `${base}/a%20b?q=1`, dest: join(place.dir, 'd') });
    t.deepEqual(await readdir(join(place.dir, 'd')), ['a b']);
  });
// busybox-static's wget crashes where it looks up names through glibc.
}, ['dash', 'bash']);

inShells(test, 'what has another checksum or is not there is not put in place', async (t, place) => {
  await served(async (base) => {
    const dest = join(place.dir, 'f');
    await writeFile(dest, 'old');
    await t.throwsAsync(converge(t, place, getUrl, { url: `${base}/x`, dest, checksum: `sha256:${'0'.repeat(64)}` }), { message: /does not have the checksum/ });
    await t.throwsAsync(converge(t, place, getUrl, { url: `${base}/none`, dest: join(place.dir, 'g') }), { message: /404[^]*failed/ });
    t.is(await readFile(dest, 'utf8'), 'old');
    t.deepEqual(await readdir(place.dir), ['f']);
  });
}, ['dash', 'bash']);

for (const tool of ['curl', 'wget']) {
  inShells(test, `headers and passwords reach the server through ${tool}`, async (t, place) => {
    await served(async (base) => {
      await only(place, tool);
      const dest = join(place.dir, 'f');
      await converge(t, place, getUrl, { url: `${base}/secret`, dest, url_username: 'me', url_password: 'p"\\ w', headers: { 'X-Token': 'a "b"' } });
      t.deepEqual(await readFile(dest), CONTENT);
      await converge(t, place, getUrl, { url: `${base.replace('//', '//me:p%22%5C%20w@')}/secret`, dest: `${dest}2`, headers: 'X-Token: a "b"' });
    });
  }, ['dash', 'bash']);
}

inShells(test, "a host with neither curl nor wget downloads by apt's helper", async (t, place) => {
  await served(async (base) => {
    await only(place, undefined);
    const dest = join(place.dir, 'f');
    await converge(t, place, getUrl, { url: `${base}/x`, dest, checksum: `sha256:${SHA256}` });
    t.is(await modeOf(dest), '0644');
    await t.throwsAsync(converge(t, place, getUrl, { url: `${base}/none`, dest: `${dest}2` }), { message: /404/ });
  });
}, ['dash', 'bash']);

inShells(test, 'the hash may stand in a list that is fetched too', async (t, place) => {
  await served(async (base) => {
    const dest = join(place.dir, 'f');
    for (const list of ['sums', 'sums1']) {
      await writeFile(dest, 'old');
      await converge(t, place, getUrl, { url: `${base}/x`, dest, checksum: `sha256:${base}/${list}` });
      t.deepEqual(await readFile(dest), CONTENT);
    }
    await writeFile(join(place.dir, 'it"s'), `${SHA256}  z\n`);
    const asked = { url: `${base}/z`, dest: `${dest}2`, checksum: `sha256:file://${place.dir}/it%22s` };
    await converge(t, place, getUrl, asked);
    await t.throwsAsync(look(t, place, getUrl, { ...asked, url: `${base}/a` }), { message: /Unable to find a checksum for file 'a' in/ });
    await t.throwsAsync(look(t, place, getUrl, { ...asked, checksum: `sha256:${base}/none` }), { message: /404/ });
  });
}, ['dash', 'bash']);

inShells(test, 'a file of the host is a source like others', async (t, place) => {
  await writeFile(join(place.dir, "it's %"), CONTENT);
  const { result } = await converge(t, place, getUrl, { url: `file://${place.dir}/it's%20%25`, dest: join(place.dir, 'f') });
  t.like(result, { msg: `OK (${CONTENT.length} bytes)`, size: CONTENT.length });
  t.false('status_code' in result);
  await t.throwsAsync(converge(t, place, getUrl, { url: `file://${place.dir}/none`, dest: join(place.dir, 'g') }), { message: /none/ });
});

test('checksums and headers that cannot be are refused', async (t) => {
  const prepared = (args: object) => getUrl.prepare!(getUrl.params.parse({ url: 'http://a/', dest: '/x', ...args }), undefined as never);
  await t.throwsAsync(prepared({ checksum: 'sha256:no hash' }), { message: /The checksum format is invalid/ });
  await t.throwsAsync(prepared({ checksum: 'crc:00' }), { message: /algorithm:hexadecimal/ });
  await t.throwsAsync(prepared({ headers: { a: 'b\nc: d' } }), { message: /one line/ });
  await t.throwsAsync(prepared({ url: 'nonsense' }), { message: /is no address/ });
});
