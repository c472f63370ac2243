import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { answers } from '../../src/lab/packages.js';

/** A mirror that counts what it is asked, and the proxy in front of it, both on the loopback address. */
async function stand(t: import('ava').ExecutionContext) {
  const asked: string[] = [];
  const mirror = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url!.includes('missing')) response.writeHead(404).end('no such file');
    else setTimeout(() => response.end(`content of ${request.url} ${asked.length}`), 50);
  });
  await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const port = (free.address() as AddressInfo).port;
  await new Promise((resolve) => free.close(resolve));
  const folder = await mkdtemp(join(tmpdir(), 'muster-proxy-'));
  const proxy = spawn(process.execPath, [join(process.cwd(), 'dist/src/lab/proxy.js'), '127.0.0.1', String(port), folder, '', ''], { stdio: 'inherit' });
  t.teardown(async () => {
    proxy.kill();
    mirror.close();
    await rm(folder, { recursive: true });
  });
  while (!(await answers('127.0.0.1', port))) await new Promise((resolve) => setTimeout(resolve, 20));
  const base = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}`;
  const fetch = async (path: string) => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => get({ host: '127.0.0.1', port, path: `${base}${path}` }, resolve).on('error', reject));
    return { status: response.statusCode, body: await text(response) };
  };
  return { asked, fetch, folder, mirror };
}

test('a package is fetched once, however many ask and whatever becomes of the mirror', async (t) => {
  const { asked, fetch, folder, mirror } = await stand(t);
  const answers = await Promise.all(Array.from({ length: 6 }, () => fetch('/pool/a_1.0_all.deb')));
  for (const answer of answers) t.deepEqual(answer, { status: 200, body: 'content of /pool/a_1.0_all.deb 1' });
  t.deepEqual(asked, ['/pool/a_1.0_all.deb']);
  t.is((await readdir(folder)).length, 1);
  mirror.closeAllConnections();
  await new Promise((resolve) => mirror.close(resolve));
  t.is((await fetch('/pool/a_1.0_all.deb')).status, 200);
  t.is((await fetch('/dists/x/InRelease')).status, 502);
});

test('what may change is asked anew, what is missing stays missing', async (t) => {
  const { asked, fetch, folder } = await stand(t);
  await fetch('/dists/x/InRelease');
  await fetch('/dists/x/InRelease');
  t.is((await fetch('/pool/missing.deb')).status, 404);
  t.is((await fetch('/pool/missing.deb')).status, 404);
  t.is(asked.length, 4);
  t.deepEqual(await readdir(folder), []);
});
