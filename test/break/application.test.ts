import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Stack, type Answer } from '../e2e/stack.js';

const deploy = 'playbooks/deploy.yml';
const balancers = ['lb1', 'lb2'];
const webs = ['web1', 'web2'];
let stack: Stack;
/** Folder with the sources of other releases. */
let sources: string;

/** Two releases beside the project's: one with a page that takes its time (until `go`), one whose check fails. */
test.before('the stack, and releases to deploy', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
  sources = await mkdtemp(join(tmpdir(), 'muster-releases-'));
  const variant = async (name: string, more: string) => {
    await cp('playbooks/roles/app/files/release', join(sources, name), { recursive: true });
    const page = join(sources, name, 'public/index.php');
    await writeFile(page, (await readFile(page, 'utf8')).replace(/^\$path = .*$/m, (line) => `${line}\n${more}`));
  };
  await variant('slow', `if ($path === '/slow') { while (!file_exists('/srv/app/shared/go')) { usleep(50000); clearstatcache(); } exit("$release\\n"); }`);
  await variant('broken', `if ($path === '/healthz') { http_response_code(500); exit; }`);
});
test.after.always(async () => {
  if (sources) await rm(sources, { recursive: true });
});

/** Notes written through both balancers by several clients at once, until it is stopped. */
function load(t: ExecutionContext, clients = 4) {
  const mark = `load ${Date.now()}`;
  const seen: { status: number; server: string; what: string }[] = [];
  let going = true;
  const client = async (own: number) => {
    for (let i = own; going; i++) {
      const answer = await post('/notes', `text=${encodeURIComponent(mark)}`, balancers[i % 2]!).catch((error: Error) => error);
      if (answer instanceof Error) seen.push({ status: 0, server: '', what: answer.message });
      else seen.push({ status: answer.status, server: String(answer.headers['x-served-by']), what: answer.body });
      await sleep(10);
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, i) => client(i)));
  const end = () => ((going = false), all);
  t.teardown(end);
  return {
    /** Ends it: nothing may have failed, every acknowledged note must be there once, and both servers must have answered. */
    async stop() {
      await end();
      t.deepEqual(seen.filter(({ status }) => status !== 201).slice(0, 5), []);
      t.is(Number(await stack.on('db1', `mariadb -N -e "SELECT COUNT(*) FROM app.notes WHERE text = '${mark}'"`)), seen.length);
      t.deepEqual([...new Set(seen.map(({ server }) => server))].sort(), webs);
      t.log(`${seen.length} notes written, none failed`);
    },
  };
}

function post(path: string, body: string, host: string): Promise<Answer> {
  return stack.ask(path, { method: 'POST', host, tls: true, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
}

/** Release and state of every server: `web1 1.0.0 UP UP`, as both balancers have it. */
async function servers(): Promise<string[]> {
  const states = await Promise.all(
    balancers.map((host) => stack.on(host, `perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new("/run/haproxy/admin.sock"); print $s "show stat\\n"; print <$s>' | grep '^web,web' | cut -d, -f2,18`)),
  );
  return Promise.all(
    webs.map(async (web) => {
      const release = await stack.on(web, 'basename "$(readlink /srv/app/current)"; ls /srv/app | grep deploying || :');
      return [web, ...release.split('\n'), ...states.map((lines) => new RegExp(`^${web},(.*)$`, 'm').exec(lines)?.[1])].join(' ');
    }),
  );
}

/** What every server must be, when nobody is at it. */
const serving = (release: string) => webs.map((web) => `${web} ${release} UP UP`);

/** A request to a web server from its own host, past the balancers. */
async function direct(web: string, path: string, { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  const head = Object.entries({ host: web, 'content-length': body.length, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const sent = Buffer.from(`${method} ${path} HTTP/1.0\r\n${head.join('')}\r\n${body}`).toString('base64');
  const answer = Buffer.from(await stack.on(web, `bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; echo ${sent} | base64 -d >&3; cat <&3' | base64 -w0`), 'base64').toString();
  const end = answer.indexOf('\r\n\r\n');
  const [first, ...rest] = answer.slice(0, end).split('\r\n');
  return {
    status: Number(first!.split(' ')[1]),
    headers: Object.fromEntries(rest.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])),
    body: answer.slice(end + 4),
  };
}

async function healthy(t: ExecutionContext, release: string): Promise<void> {
  t.deepEqual(await servers(), serving(release));
  for (const web of webs) t.is((await direct(web, '/healthz')).body, `${release}\n`);
}

async function bring(t: ExecutionContext, release: string, args: string[] = [], playbook = deploy): Promise<void> {
  const applied = await stack.muster('apply', playbook, ['-e', `app_release=${release}`, ...args]);
  t.is(applied.code, 0, applied.told);
}

test.serial('a plan of a deploy shows each step, and changes nothing', async (t) => {
  const look = () => Promise.all(webs.map((web) => stack.on(web, 'find /srv/app | sort; readlink /srv/app/current')));
  const before = [await look(), await servers()];
  const plan = await stack.muster('plan', deploy, ['-e', 'app_release=1.1.0']);
  t.is(plan.code, 2, plan.told);
  t.deepEqual(plan.results('unknown', 'failed'), []);
  for (const web of webs) {
    const changes = plan.results('changed').filter(({ host }) => host === web);
    const shown = (task: RegExp) => changes.find((result) => task.test(result.task))?.changes ?? '';
    t.regex(shown(/Copy the release/), /public\/index\.php/);
    t.is(shown(/Take the server out/), balancers.map(() => `web/${web} state: "enabled" -> "drain"`).join('\n'));
    t.regex(shown(/Switch to the release/), /releases\/1\.0\.0.*releases\/1\.1\.0/);
  }
  t.deepEqual([await look(), await servers()], before);
});

test.serial('a deploy under load fails no request, and leaves one release', async (t) => {
  const notes = load(t);
  await sleep(1000);
  await bring(t, '1.1.0', ['-e', `app_source=${join(sources, 'slow')}`]);
  await sleep(1000);
  await notes.stop();
  await healthy(t, '1.1.0');
  const again = await stack.muster('apply', deploy, ['-e', 'app_release=1.1.0', '-e', `app_source=${join(sources, 'slow')}`, '--stats']);
  t.deepEqual(again.results('changed'), []);
  for (const web of webs) t.true(again.stats[web]!.trips <= 2, `${web}: ${again.stats[web]!.trips} trips`);
});

test.serial('a broken release stops at the first server, which serves the old one again', async (t) => {
  const notes = load(t);
  const applied = await stack.muster('apply', deploy, ['-e', 'app_release=1.2.0', '-e', `app_source=${join(sources, 'broken')}`, '-e', 'app_health_seconds=3']);
  t.is(applied.code, 3);
  t.regex(applied.told, /web1 did not get release 1\.2\.0.*500.*back with 1\.1\.0 and in the rotation/s);
  t.deepEqual(applied.results('changed').filter(({ host, task }) => host === 'web2' && !/folders|Copy|Name/.test(task)), []);
  await notes.stop();
  await healthy(t, '1.1.0');
  // Mended, the same name is taken: it has never been in service.
  await bring(t, '1.2.0');
  await healthy(t, '1.2.0');
});

test.serial('rolled back under load, from where the first server is', async (t) => {
  const notes = load(t);
  const back = await stack.muster('apply', 'playbooks/rollback.yml');
  t.is(back.code, 0, back.told);
  await notes.stop();
  await healthy(t, '1.1.0');
  // A deploy that got only as far as the first server: the second has nothing to go back from.
  await bring(t, '1.3.0', ['--limit', 'web1']);
  t.deepEqual(await servers(), ['web1 1.3.0 UP UP', 'web2 1.1.0 UP UP']);
  const half = await stack.muster('apply', 'playbooks/rollback.yml');
  t.is(half.code, 0, half.told);
  t.deepEqual(half.results('changed').filter(({ host }) => host === 'web2'), []);
  await healthy(t, '1.1.0');
  const none = await stack.muster('apply', 'playbooks/rollback.yml', ['-e', 'app_rollback_to=0.1.0']);
  t.is(none.code, 3);
  t.regex(none.told, /web1 has no such release to go back to: 0\.1\.0/);
  await healthy(t, '1.1.0');
});

test.serial('sessions and uploaded files outlive a deploy', async (t) => {
  const kept: { web: string; cookie: string; path: string }[] = [];
  for (const web of webs) {
    const visit = await direct(web, '/visits');
    t.is(JSON.parse(visit.body).visits, 1);
    const boundary = 'b0undary';
    const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="x.php"\r\n\r\n<?php echo "from ${web}";\r\n--${boundary}--\r\n`;
    const upload = await direct(web, '/uploads', { method: 'POST', headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body: file });
    t.is(upload.status, 201, upload.body);
    kept.push({ web, cookie: visit.headers['set-cookie']!.split(';')[0]!, path: JSON.parse(upload.body).path });
  }
  await bring(t, '1.4.0', ['-e', `app_source=${join(sources, 'slow')}`]);
  for (const { web, cookie, path } of kept) {
    const again = JSON.parse((await direct(web, '/visits', { headers: { cookie } })).body);
    t.like(again, { visits: 2, release: '1.4.0', server: web });
    const file = await direct(web, path);
    t.like(file, { status: 200, body: `<?php echo "from ${web}";` });
    t.is(file.headers['content-disposition'], 'attachment');
  }
});
