import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Stack, type Answer } from '../../e2e/stack.js';

const site = 'playbooks/site.yml';
const deploy = 'playbooks/deploy.yml';
const rollback = 'playbooks/rollback.yml';
const balancers = ['lb1', 'lb2'];
const webs = ['web1', 'web2'];
let stack: Stack;
/** Folder with the sources of other releases. */
let sources: string;
const from = (variant: string) => ['-e', `app_source=${join(sources, variant)}`];
/** What the page that takes its time waits for, and what it leaves to say that it has begun. */
const go = '/srv/app/shared/go';
const begun = '/srv/app/shared/uploads/begun';

/** Two releases beside the project's: one with a page that takes its time (until `go`), one whose check fails. */
test.before('the stack, and releases to deploy', async (t) => {
  t.timeout(20 * 60_000);
  stack = await Stack.converged();
  // A page that takes its time shall not be ended before a deploy on a busy machine has come to its server.
  const patient = await stack.muster('apply', site, ['--limit', 'web:loadbalancers', '-e', 'web_php_request_timeout=2m', '-e', 'haproxy_timeout_server=2m', '-e', 'haproxy_timeout_client=2m']);
  t.is(patient.code, 0, patient.told);
  sources = await mkdtemp(join(tmpdir(), 'muster-releases-'));
  const variant = async (name: string, more: string) => {
    await cp('playbooks/roles/app/files/release', join(sources, name), { recursive: true });
    const page = join(sources, name, 'public/index.php');
    await writeFile(page, (await readFile(page, 'utf8')).replace(/^\$path = .*$/m, (line) => `${line}\n${more}`));
  };
  await variant('slow', `if ($path === '/slow') { touch('${begun}'); while (!file_exists('${go}')) { usleep(50000); clearstatcache(); } exit("$release\\n"); }`);
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
    /** Ends it: nothing may have failed, every acknowledged note must be there once, and the servers must have answered. */
    async stop(answered = webs) {
      await end();
      t.deepEqual(seen.filter(({ status }) => status !== 201).slice(0, 5), []);
      t.is(Number(await stack.on('db1', `mariadb -N -e "SELECT COUNT(*) FROM app.notes WHERE text = '${mark}'"`)), seen.length);
      t.deepEqual([...new Set(seen.map(({ server }) => server))].sort(), answered);
      t.log(`${seen.length} notes written, none failed`);
    },
  };
}

function post(path: string, body: string, host: string): Promise<Answer> {
  return stack.ask(path, { method: 'POST', host, tls: true, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
}

const haproxy = (host: string, command: string) => stack.on(host, `echo '${command}' | socat -t5 - /run/haproxy/admin.sock`);

/** Release and state of every server: `web1 1.0.0 UP UP`, as both balancers have it. */
async function servers(): Promise<string[]> {
  const states = await Promise.all(balancers.map((host) => haproxy(host, 'show stat web 4 -1')));
  return Promise.all(
    webs.map(async (web) => {
      const release = await stack.on(web, 'basename "$(readlink /srv/app/current)"; ls /srv/app | grep deploying || :');
      return [web, ...release.split('\n'), ...states.map((lines) => new RegExp(`^web,${web},(?:[^,]*,){15}([^,]*),`, 'm').exec(lines)?.[1])].join(' ');
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
  await bring(t, '1.1.0', from('slow'));
  await sleep(1000);
  await notes.stop();
  await healthy(t, '1.1.0');
  const again = await stack.muster('apply', deploy, ['-e', 'app_release=1.1.0', ...from('slow'), '--stats']);
  t.deepEqual(again.results('changed'), []);
  for (const web of webs) t.true(again.stats[web]!.trips <= 2, `${web}: ${again.stats[web]!.trips} trips`);
});

test.serial('a broken release stops at the first server, which serves the old one again', async (t) => {
  const notes = load(t);
  const applied = await stack.muster('apply', deploy, ['-e', 'app_release=1.2.0', ...from('broken'), '-e', 'app_health_seconds=3']);
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
  const back = await stack.muster('apply', rollback);
  t.is(back.code, 0, back.told);
  await notes.stop();
  await healthy(t, '1.1.0');
  // A deploy that got only as far as the first server: the second has nothing to go back from.
  await bring(t, '1.3.0', ['--limit', 'web1']);
  t.deepEqual(await servers(), ['web1 1.3.0 UP UP', 'web2 1.1.0 UP UP']);
  const half = await stack.muster('apply', rollback);
  t.is(half.code, 0, half.told);
  t.deepEqual(half.results('changed').filter(({ host }) => host === 'web2'), []);
  await healthy(t, '1.1.0');
  const none = await stack.muster('apply', rollback, ['-e', 'app_rollback_to=0.1.0']);
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
  await bring(t, '1.4.0', from('slow'));
  for (const { web, cookie, path } of kept) {
    const again = JSON.parse((await direct(web, '/visits', { headers: { cookie } })).body);
    t.like(again, { visits: 2, release: '1.4.0', server: web });
    const file = await direct(web, path);
    t.like(file, { status: 200, body: `<?php echo "from ${web}";` });
    t.is(file.headers['content-disposition'], 'attachment');
  }
});

/** A request that web1 is at, by way of lb2, until it is let go. Both servers must run the slow release. */
async function underWay(t: ExecutionContext) {
  await stack.on('web1', `rm -f ${go} ${begun}`);
  // What comes to web2 is answered at once, and it is asked again.
  await stack.on('web2', `touch ${go}`);
  const letGo = () => stack.on('web1', `touch ${go}`);
  t.teardown(letGo);
  let answer: Promise<Answer | Error> | undefined;
  const asked = await stack.until(
    async () => {
      answer ??= stack.ask('/slow', { host: 'lb2', tls: true, timeout: 120_000 }).catch((error: Error) => error).then((got) => {
        if (!(got instanceof Error) && got.headers['x-served-by'] === 'web2') answer = undefined;
        return got;
      });
      return stack.on('web1', `ls ${begun} 2>/dev/null || :`);
    },
    (found) => found !== '',
  );
  t.is(asked, begun);
  const waiting = answer!;
  return { end: async () => (await letGo(), waiting) };
}

test.serial('a request under way when its server is drained is waited for', async (t) => {
  await bring(t, '1.4.0', from('slow'));
  const notes = load(t);
  const request = await underWay(t);
  const deploying = stack.muster('apply', deploy, ['-e', 'app_release=1.5.0', ...from('slow')]);
  t.teardown(() => Promise.all([request.end(), deploying]));
  const waits = ['web1 1.4.0 deploying DRAIN DRAIN', 'web2 1.4.0 UP UP'];
  t.deepEqual(await stack.until(servers, (seen) => seen.join() === waits.join(), 90), waits);
  // It looks each second.
  await sleep(3000);
  t.deepEqual(await servers(), waits);
  t.like(await request.end(), { status: 200, body: '1.4.0\n' });
  const deployed = await deploying;
  t.is(deployed.code, 0, deployed.told);
  await notes.stop();
  await healthy(t, '1.5.0');
});

/** Begins a deploy and kills its controller when web1 is found so. */
async function cutOff(t: ExecutionContext, args: string[], when: RegExp): Promise<void> {
  const controller = spawn(process.execPath, ['dist/cli/main.js', 'apply', deploy, ...stack.inventory, ...args], { stdio: 'ignore' });
  const ended = once(controller, 'exit');
  t.teardown(() => controller.kill('SIGKILL'));
  t.regex((await stack.until(servers, ([web1]) => when.test(web1!), 90))[0]!, when);
  controller.kill('SIGKILL');
  t.deepEqual(await ended, [null, 'SIGKILL']);
}

/** What stands in the application's folder, and what a rollback goes back to. */
const folders = () => Promise.all(webs.map((web) => stack.on(web, 'ls -A /srv/app | xargs; readlink /srv/app/previous')));

test.serial('a deploy that was cut off while a server was drained is taken up by the next', async (t) => {
  await bring(t, '1.5.0', from('slow'));
  const notes = load(t);
  const request = await underWay(t);
  await cutOff(t, ['-e', 'app_release=1.6.0'], /^web1 1\.5\.0 deploying DRAIN DRAIN$/);
  t.like(await request.end(), { status: 200, body: '1.5.0\n' });
  t.deepEqual(await servers(), ['web1 1.5.0 deploying DRAIN DRAIN', 'web2 1.5.0 UP UP']);
  await bring(t, '1.6.0');
  await notes.stop();
  await healthy(t, '1.6.0');
  t.deepEqual(await folders(), webs.map(() => 'current previous releases shared\nreleases/1.5.0'));
});

test.serial('a deploy that was cut off behind the switch: a rollback does not guess, and the next deploy brings its release', async (t) => {
  await bring(t, '1.6.0');
  const notes = load(t);
  await cutOff(t, ['-e', 'app_release=1.7.0', ...from('broken')], /^web1 1\.7\.0 deploying /);
  const running = async () => (await servers()).map((server) => server.split(' ').slice(0, 3).join(' '));
  const half = ['web1 1.7.0 deploying', 'web2 1.6.0 UP'];
  t.deepEqual(await running(), half);
  // 'previous' there is a release further back than what web2 runs.
  const back = await stack.muster('apply', rollback);
  t.is(back.code, 3);
  t.regex(back.told, /web1 was cut off between two releases; before that it ran 1\.6\.0/);
  t.deepEqual(await running(), half);
  await bring(t, '1.7.0');
  await notes.stop();
  await healthy(t, '1.7.0');
  t.deepEqual(await folders(), webs.map(() => 'current previous releases shared\nreleases/1.6.0'));
});

for (const { state, on, release, found, answered } of [
  { state: 'drain', on: ['lb2'], release: '1.8.0', found: 'UP DRAIN', answered: webs },
  { state: 'maint', on: balancers, release: '1.9.0', found: 'MAINT MAINT', answered: ['web2'] },
])
  test.serial(`a server that somebody took out (${state}) is still out after a deploy, which says so`, async (t) => {
    const before = (await servers())[1]!;
    const order = (to: string) => Promise.all(on.map((host) => haproxy(host, `set server web/web1 state ${to}`)));
    t.teardown(() => order('ready'));
    await order(state);
    const notes = load(t);
    const one = await stack.muster('apply', deploy, ['-e', `app_release=${release}`, '--limit', 'web1']);
    t.is(one.code, 0, one.told);
    const said = one.events.flatMap((event) => (event.event === 'result' && event.result.status === 'ok' && /stays out/.test(event.task) ? [event.result.data['msg']] : []));
    t.deepEqual(said, [`web1 stays out of the rotation of ${on.join(' and ')}: somebody had taken it out before`]);
    t.deepEqual(await servers(), [`web1 ${release} ${found}`, before]);
    // The other one is the last that serves: it stays, with the release it has.
    const all = await stack.muster('apply', deploy, ['-e', `app_release=${release}`]);
    t.is(all.code, 3);
    t.regex(all.told, /web2 is not taken out: too few others would be left to serve/);
    t.deepEqual(await servers(), [`web1 ${release} ${found}`, before]);
    await notes.stop(answered);
    await order('ready');
    await stack.until(servers, ([web1]) => web1 === `web1 ${release} UP UP`);
    await bring(t, release);
    await healthy(t, release);
  });

test.serial('nginx and PHP are reloaded twenty times on both servers under load: no request fails', async (t) => {
  const notes = load(t);
  // Each time the next one waits until none of the processes from before is left.
  const reloads = `
    workers() { tr ' ' '\\n' </proc/$main/task/$main/children; }
    for i in $(seq 20); do
      for unit in nginx php8.2-fpm; do
        main=$(systemctl show -p MainPID --value $unit)
        before=$(workers)
        systemctl reload $unit || exit
        for look in $(seq 300); do
          now=$(workers)
          if [ -n "$now" ] && ! echo "$now" | grep -qxF "$before"; then echo $unit; continue 2; fi
          sleep 0.1
        done
        echo "$unit still has processes from before its reload" >&2
        exit 1
      done
    done`;
  const done = await Promise.all(webs.map((web) => stack.on(web, reloads)));
  for (const units of done) t.is(units.split('\n').length, 40);
  await notes.stop();
});

test.serial('site.yml brings a release under load, deploy.yml others after it, and five are kept', async (t) => {
  const notes = load(t);
  await bring(t, '2.0.0', [], site);
  await healthy(t, '2.0.0');
  for (const release of ['2.0.1', '2.0.2', '2.0.3', '2.0.4']) await bring(t, release);
  await notes.stop();
  await healthy(t, '2.0.4');
  for (const web of webs) t.is(await stack.on(web, 'ls /srv/app/releases | xargs'), '2.0.0 2.0.1 2.0.2 2.0.3 2.0.4');
  const plan = await stack.muster('plan', site, ['-e', 'app_release=2.0.4']);
  t.is(plan.code, 0, JSON.stringify(plan.results('changed', 'unknown', 'failed')));
});
