import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeGroup, members } from './cgroup.js';
import { LabError, run, sleep } from './run.js';
import { disksDir, machineDir } from './state.js';
import { sh } from '../shell/sh.js';

/** Where this machine gets Debian's packages: lines of a sources.list for the suite, taken from its own configuration. */
export async function debianSources(suite: string): Promise<string[]> {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const known = (await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])).split('\n').filter(Boolean);
  const own = new Set(known.map((line) => line.split(' ')).filter(([uri, release, component]) => uri!.startsWith('http') && component === 'main' && release!.split(/[-/]/)[0] === suite).map(([uri, release]) => `deb ${uri} ${release} main`));
  if (own.size > 0) return [...own];
  const debian = known.map((line) => line.split(' ')).find(([uri, , component]) => /^http.*\/debian\/?$/.test(uri!) && component === 'main');
  if (!debian) throw new LabError('this machine has no Debian mirror in its apt sources: the lab takes its hosts from there');
  return [`deb ${debian[0]} ${suite} main`];
}

/** The port the lab's package proxy listens on, at the bridge's address. */
export const proxyPort = 3142;

/**
 * Starts the caching proxy that apt inside the hosts goes through (they have no route out). Packages are kept in
 * the machine's folder between labs; the process belongs to the lab.
 */
export async function startProxy(lab: string, address: string, sources: readonly string[]): Promise<void> {
  const group = `muster-${lab}/packages`;
  if ((await members(group)).length > 0) return;
  const groups = await makeGroup(group);
  const script = fileURLToPath(new URL('./proxy.js', import.meta.url));
  const secure = [...new Set(sources.map((line) => line.split(' ')[1]!).filter((uri) => uri.startsWith('https:')).map((uri) => new URL(uri).host))];
  const upstream = (await run('apt-config', ['shell', 'proxy', 'Acquire::http::Proxy'])).match(/'(http.*)'/)?.[1] ?? '';
  await mkdir(disksDir(lab), { recursive: true });
  const log = openSync(join(disksDir(lab), 'packages.log'), 'a');
  const join_ = sh`for g in ${groups}; do echo $$ > "$g/cgroup.procs"; done; exec ${process.execPath} ${script} ${address} ${proxyPort} ${join(machineDir(), 'packages')} ${secure.join(',')} ${upstream}`;
  spawn('/bin/sh', ['-c', join_.text], { detached: true, stdio: ['ignore', log, log], cwd: '/' }).unref();
  closeSync(log);
  for (let tries = 0; !(await answers(address, proxyPort)); tries++) {
    if (tries === 100) throw new LabError(`the package proxy does not answer at ${address}:${proxyPort}; see ${join(disksDir(lab), 'packages.log')}`);
    await sleep(100);
  }
}

/** Whether something accepts connections there. */
export function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const done = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.on('connect', () => done(true)).on('error', () => done(false)).on('timeout', () => done(false));
  });
}
