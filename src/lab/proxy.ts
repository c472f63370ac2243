/**
 * A caching HTTP proxy for apt: `proxy.js ADDRESS PORT FOLDER HTTPS-HOSTS UPSTREAM-PROXY`.
 * Kept are files that never change under their name (packages and by-hash indexes); the rest passes through.
 * Hosts ask in plain HTTP; what the mirror serves by TLS alone (HTTPS-HOSTS, comma-separated) is asked so.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { get as secureGet } from 'node:https';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [address, port, folder, secureHosts, upstream] = process.argv.slice(2) as [string, string, string, string, string];
const fetching = new Map<string, Promise<number>>();

const server = createServer((request, response) => {
  answer(request, response).catch((error: Error) => {
    console.error(`${request.url}: ${error.message}`);
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end(`${error.message}\n`);
  });
});
await mkdir(folder, { recursive: true });
server.listen(Number(port), address);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' || !request.url?.startsWith('http://')) return void response.writeHead(405).end('only apt asks here\n');
  if (!/\.deb$|\/by-hash\//.test(request.url)) {
    const { 'proxy-connection': _, ...headers } = request.headers;
    const answered = await ask(request.url, headers);
    response.writeHead(answered.statusCode!, answered.headers);
    return pipeline(answered, response);
  }
  const file = join(folder, createHash('sha256').update(request.url).digest('hex'));
  if (!existsSync(file)) {
    const status = await (fetching.get(file) ?? keep(request.url, file));
    if (status !== 200) return void response.writeHead(status).end();
  }
  response.writeHead(200, { 'content-length': statSync(file).size, 'content-type': 'application/octet-stream' });
  return pipeline(createReadStream(file), response);
}

/** Fetches once, however many ask meanwhile; another proxy on the same folder does no harm, since the name appears whole. */
function keep(url: string, file: string): Promise<number> {
  const fetched = (async () => {
    const answered = await ask(url, {});
    if (answered.statusCode !== 200) {
      answered.resume();
      return answered.statusCode!;
    }
    const part = `${file}.${randomBytes(4).toString('hex')}`;
    try {
      await pipeline(answered, createWriteStream(part));
      await rename(part, file);
    } finally {
      await rm(part, { force: true });
    }
    return 200;
  })().finally(() => fetching.delete(file));
  fetching.set(file, fetched);
  return fetched;
}

function ask(url: string, headers: Record<string, string | string[] | undefined>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const secure = secureHosts.split(',').includes(target.host);
    const asked = secure
      ? secureGet(url.replace('http:', 'https:'), { headers: { ...headers, host: target.host } }, resolve)
      : upstream !== ''
        ? get({ host: new URL(upstream).hostname, port: new URL(upstream).port, path: url, headers: { ...headers, host: target.host } }, resolve)
        : get(url, { headers: { ...headers, host: target.host } }, resolve);
    asked.on('error', reject).setTimeout(60_000, () => asked.destroy(new Error('the mirror does not answer within 60 s')));
  });
}
