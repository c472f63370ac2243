import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { labStatus, stateDir } from '../src/lab/lab.js';
import { painter, truncate, wantsColour } from '../src/report/style.js';

/** `npm start`: the lab, the whole stack on it, and a short account of what stands and how to look at it. */
const MUSTER = fileURLToPath(new URL('./main.js', import.meta.url));
const PLAYBOOK = 'playbooks/site.yml';
const INVENTORY = 'inventory/lab.yml';
const REQUESTS = 4;

const paint = painter(wantsColour(process.stdout, process.env));
const say = (text: string) => console.log(paint(['bold', 'cyan'], text));

process.exit(await start());

async function start(): Promise<number> {
  for (const args of [['lab', 'up'], ['apply', PLAYBOOK, '-i', INVENTORY]]) {
    say(`\n$ muster ${args.join(' ')}`);
    const code = await muster(args);
    if (code !== 0) return code;
  }
  const lab = await labStatus({ name: 'lab' });
  if (!lab) throw new Error('there is no lab');
  // As inventory/lab.yml has them.
  const authority = join(stateDir(process.cwd(), lab.name), 'ca/ca.crt');
  const url = `https://${lab.net}.100/`;
  say(`\n${REQUESTS} requests to the balancers' virtual address, ${url}notes`);
  for (let i = 0; i < REQUESTS; i++) {
    const { status, body } = await get(`${url}notes`, await readFile(authority));
    console.log(`  ${status}  ${truncate(body.replace(/\s+/g, ' ').trim(), Math.max(40, (process.stdout.columns ?? 100) - 8))}`);
    if (status !== 200) return 3;
  }
  say('\nWhat stands');
  console.log('  lb1, lb2      HAProxy, round robin over web1 and web2; keepalived, for the virtual address');
  console.log('  web1, web2    nginx, php-fpm and the application');
  console.log('  db1, db2      MariaDB primary and replica');
  console.log('  mon1          Prometheus, Alertmanager and a page that shows the state of all');
  say('\nWhere to look next');
  const curl = `curl --cacert ${relative('.', authority)}`;
  for (const [command, about] of [
    [`${curl} ${url}`, 'a page of the application'],
    [`${curl} -d text=hello ${url}notes`, 'a row, written on db1 and read from db2'],
    ['npx muster lab ssh web1', 'a shell on a host'],
    ['ssh -F .muster/lab/lab/ssh_config -L 8080:127.0.0.1:8080 mon1', 'then http://localhost:8080: the state of the stack'],
    [`npx muster apply playbooks/verify.yml -i ${INVENTORY}`, 'is everything well?'],
    [`npx muster plan ${PLAYBOOK} -i ${INVENTORY}`, 'what an apply would change (nothing now)'],
    [`npx muster exec all -i ${INVENTORY} -- uptime`, 'a command on every host'],
    [`npx muster facts db1 -i ${INVENTORY}`, 'what is known about a host'],
    ['npm run lab:down', 'take it all away'],
  ])
    console.log(`  ${command!.padEnd(74)}  ${about}`);
  return 0;
}

/** One request on a connection of its own; the certificate must be the lab's authority's. */
function get(url: string, ca: Buffer): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, agent: false, timeout: 10_000 }, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode!, body }), reject);
    });
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`${url} was not answered within 10 s`)));
    asked.end();
  });
}

function muster(args: string[]): Promise<number> {
  const child = spawn(process.execPath, [MUSTER, ...args], { stdio: 'inherit' });
  // Ctrl-C reaches the child by itself; it ends in order and says so by its exit code.
  process.on('SIGINT', () => {});
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 130));
  });
}
