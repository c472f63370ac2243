import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { ModuleError } from '../../src/modules/module.js';
import uri from '../../src/modules/uri.js';
import { command, inShells, type Place } from './harness.js';

const binary = Buffer.from([0, 255, 254, 10, 0, 64, 10]);

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const echo = { method: request.method, headers: request.headers, body: Buffer.concat(pieces).toString(), url: request.url };
  switch (request.url!.split('?')[0]) {
    case '/plain':
      response.setHeader('X-Odd-Name', 'a');
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      return void response.end("it's ä\n@rc 0\n");
    case '/binary':
      return void response.end(binary);
    case '/missing':
      response.statusCode = 404;
      return void response.end('nothing here');
    case '/away':
      response.writeHead(302, { Location: '/echo?moved' });
      return void response.end('moved');
    case '/drop':
      return void request.socket.destroy();
    default:
      response.setHeader('Content-Type', 'application/json');
      response.write(JSON.stringify(echo).slice(0, 10));
      return void response.end(JSON.stringify(echo).slice(10));
  }
}

async function serving(body: (base: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Leaves only these programs on the path. */
async function only(place: Place, programs: readonly string[]): Promise<void> {
  const bin = join(place.dir, '..', 'few');
  await mkdir(bin);
  for (const name of programs) await symlink(execFileSync('sh', ['-c', `command -v ${name}`]).toString().trim(), join(bin, name));
  place.env['PATH'] = bin;
}

const clients: [string, readonly string[]][] = [['curl', ['curl', 'base64']], ['perl', ['perl', 'base64']]];
for (const [client, programs] of clients) {
  const inAll = (title: string, body: (t: ExecutionContext, ask: (args: object) => Promise<any>, base: string) => Promise<void>) =>
    inShells(test, `uri by ${client}: ${title}`, async (t, place) => {
      await only(place, programs);
      await serving((base) => body(t, async (args) => (await command(t, place, uri, args)).result, base));
    });

  inAll('content, header fields, redirects', async (t, ask, base) => {
    t.like(await ask({ url: `${base}/plain`, return_content: true }), { status: 200, content: "it's ä\n@rc 0\n", x_odd_name: 'a', set_cookie: 'a=1, b=2', redirected: false, url: `${base}/plain` });
    const moved = await ask({ url: `${base}/away` });
    t.like(moved, { status: 200, redirected: true, url: `${base}/echo?moved` });
    t.is(moved.json.url, '/echo?moved');
    t.is(moved.content, undefined);
    t.is((await ask({ url: `${base}/away`, follow_redirects: 'none', status_code: 302 })).status, 302);
    t.is((await ask({ url: `${base}/away`, method: 'POST', body: 'x', status_code: '200,302' })).status, 302);
    const posted = await ask({ url: `${base}/away`, method: 'POST', body: 'x', follow_redirects: 'all' });
    t.is(posted.json.method, 'GET');
    t.is((await ask({ url: `${base}/binary` })).content_length, String(binary.length));
    t.is((await ask({ url: `${base}/plain`, method: 'HEAD', return_content: true })).content, '');
  });

  inAll('bodies, header fields and credentials are sent', async (t, ask, base) => {
    const json = await ask({ url: `${base}/echo`, method: 'PUT', body: { a: ["it's"] }, body_format: 'json', headers: { 'X-One': 'a "b" \\c' } });
    t.like(json.json, { method: 'PUT', body: '{"a":["it\'s"]}' });
    t.like(json.json.headers, { 'content-type': 'application/json', 'x-one': 'a "b" \\c', 'user-agent': 'ansible-httpget' });
    const form = await ask({ url: `${base}/echo`, method: 'POST', body: { user: 'a b', list: ['x', 'y&'] }, body_format: 'form-urlencoded', url_username: 'me', url_password: "s'3:c" });
    t.is(form.json.body, 'user=a+b&list=x&list=y%26');
    t.is(form.json.headers.authorization, `Basic ${Buffer.from("me:s'3:c").toString('base64')}`);
    t.like((await ask({ url: `${base}/echo`, method: 'DELETE' })).json, { method: 'DELETE', body: '' });
  });

  inAll('what went wrong', async (t, ask, base) => {
    const missing = await t.throwsAsync(ask({ url: `${base}/missing` }), { instanceOf: ModuleError, message: 'Status code was 404 and not [200]: HTTP Error 404: Not Found' });
    t.like(missing!.fields, { status: 404, content: 'nothing here' });
    t.is((await ask({ url: `${base}/missing`, status_code: [200, 404] })).status, 404);
    const gone = await t.throwsAsync(ask({ url: `${base}/drop` }), { instanceOf: ModuleError, message: /^Status code was -1 and not \[200\]: Request failed: / });
    t.is(gone!.fields['status'], -1);
    await t.throwsAsync(ask({ url: 'http://127.0.0.1:1/' }), { message: /Request failed: .*(onnect)/ });
  });
}

inShells(test, 'uri: name and password out of ~/.netrc', async (t, place) => {
  await only(place, ['curl', 'base64']);
  await writeFile(join(place.dir, '.netrc'), 'machine 127.0.0.1 login me password secret\n', { mode: 0o600 });
  await serving(async (base) => {
    const sent = async (args: object) => ((await command(t, place, uri, { url: `${base}/echo`, ciphers: ['DEFAULT', '!aNULL'], ...args })).result as any).json.headers.authorization;
    t.is(await sent({}), `Basic ${Buffer.from('me:secret').toString('base64')}`);
    t.is(await sent({ use_netrc: false }), undefined);
    t.is(await sent({ url_username: 'you' }), `Basic ${Buffer.from('you:').toString('base64')}`);
  });
});

inShells(test, 'uri: a form of several parts', async (t, place) => {
  if (place.shell === 'busybox') place.env['PATH'] = `${place.env['PATH']}:${process.env['PATH']}`;
  await serving(async (base) => {
    const file = join(place.dir, '..', 'picture.png');
    await writeFile(file, Buffer.concat([binary, Buffer.alloc(60, 'ä')]));
    const body = { text: "it's\ntwo", made: { filename: '/some/fake.json', content: '{}' }, file: { filename: file }, odd: { filename: file, mime_type: 'image/x', multipart_encoding: '7or8bit' } };
    const args = { url: `${base}/echo`, method: 'POST', body_format: 'form-multipart', headers: { 'Content-Type': 'mine' } };
    const sent = async (more: object): Promise<string[]> => {
      const { json } = (await command(t, place, uri, { ...args, body, ...more })).result as any;
      const boundary = /^multipart\/form-data; boundary="([=0-9]+)"$/.exec(json.headers['content-type'])![1]!;
      return json.body.replaceAll(boundary, 'B').split('\r\n');
    };
    const base64 = (await readFile(file)).toString('base64');
    const expected = [
      '--B', 'Content-Transfer-Encoding: base64', 'Content-Type: image/png', 'Content-Disposition: form-data; name="file"; filename="picture.png"', '', base64.slice(0, 76), base64.slice(76), '',
      '--B', 'Content-Type: application/json', 'Content-Disposition: form-data; name="made"; filename="fake.json"', '', '{}',
      '--B', 'Content-Transfer-Encoding: 8bit', 'Content-Type: image/x', 'Content-Disposition: form-data; name="odd"; filename="picture.png"', '', (await readFile(file)).toString(),
      '--B', 'Content-Type: text/plain', 'Content-Disposition: form-data; name="text"', '', "it's", 'two', '--B--', '',
    ];
    t.deepEqual(await sent({}), expected);
    t.deepEqual(await sent({ remote_src: true }), expected);
    await t.throwsAsync(sent({ remote_src: true, body: { file: { filename: '/no such' } } }), { message: /cannot read \/no such/ });
    await t.throwsAsync(sent({ body: { number: 1 } }), { message: /value must be a string, or mapping, cannot be 1/ });
    await t.throwsAsync(sent({ body: { a: { mime_type: 'x/y' } } }), { message: /at least one of filename or content/ });
    await t.throwsAsync(sent({ body: 'text' }), { message: /body must be a dict with form-multipart/ });
  });
});

inShells(test, 'uri: files sent and fetched', async (t, place) => {
  await serving(async (base) => {
    await writeFile(join(place.dir, '..', "it's"), 'from a file\n');
    const sent = await command(t, place, uri, { url: `${base}/echo`, method: 'POST', src: join(place.dir, '..', "it's") });
    t.is((sent.result as any).json.body, 'from a file\n');
    const remote = await command(t, place, uri, { url: `${base}/echo`, method: 'POST', src: "~/../it's", remote_src: true });
    t.is((remote.result as any).json.body, 'from a file\n');
    const fetch = async () => (await command(t, place, uri, { url: `${base}/binary`, dest: '~' })).result;
    t.like(await fetch(), { path: join(place.dir, 'binary'), changed: true, status: 200 });
    t.deepEqual(await readFile(join(place.dir, 'binary')), binary);
    t.like(await fetch(), { changed: false });
    const moded = async () => (await command(t, place, uri, { url: `${base}/binary`, dest: '~', mode: '0600', setype: 'etc_t' })).result;
    t.like(await moded(), { changed: true });
    t.is((await stat(join(place.dir, 'binary'))).mode & 0o7777, 0o600);
    t.like(await moded(), { changed: false });
    await t.throwsAsync(command(t, place, uri, { url: `${base}/missing`, dest: '~/binary' }), { message: /404/ });
    t.deepEqual(await readFile(join(place.dir, 'binary')), binary);
    t.is((await command(t, place, uri, { url: `${base}/plain`, creates: 'binary' })).guarded, "Did not run command since 'binary' exists");
  });
}, ['dash', 'bash']);

inShells(test, 'uri: a host without the means says so', async (t, place) => {
  await only(place, ['base64']);
  await t.throwsAsync(command(t, place, uri, { url: 'http://127.0.0.1:1/' }), { message: /neither curl nor perl; install curl/ });
  await t.throwsAsync(command(t, place, uri, { url: 'https://127.0.0.1:1/' }), { message: /no curl, which https takes; install curl/ });
});

test('uri: arguments', (t) => {
  const good = (args: object) => uri.params.safeParse({ url: 'http://a/', ...args }).success;
  t.true(good({ follow_redirects: true, status_code: '200, 201' }));
  t.false(good({ url: 'ftp://a/' }));
  t.false(good({ headers: { 'X\nY': 'a' } }));
  t.false(good({ headers: { X: 'a\r\nHost: b' } }));
  t.false(good({ body: { a: 1 } }));
  t.false(good({ status_code: 'fine' }));
});
