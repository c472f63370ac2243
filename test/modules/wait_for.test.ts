import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { ModuleError } from '../../src/modules/module.js';
import waitFor from '../../src/modules/wait_for.js';
import { command, inShells } from './harness.js';

/** A server that greets; its port. */
async function serving(greeting: string): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

inShells(test, 'wait_for: a port that is open, then closed', async (t, place) => {
  const { server, port } = await serving('');
  t.like((await command(t, place, waitFor, { port })).result, { state: 'started', port });
  await t.throwsAsync(command(t, place, waitFor, { port, state: 'stopped', timeout: 0 }), { instanceOf: ModuleError, message: /^Timeout when waiting for 127\.0\.0\.1:\d+ to stop\.$/ });
  server.close();
  t.like((await command(t, place, waitFor, { port, state: 'stopped' })).result, { state: 'stopped' });
  const error = await t.throwsAsync(command(t, place, waitFor, { port, timeout: 0, msg: 'not up' }), { instanceOf: ModuleError, message: 'not up' });
  t.is(typeof error!.fields['elapsed'], 'number');
});

inShells(test, 'wait_for: what a port says', async (t, place) => {
  const { server, port } = await serving("SSH-2.0-it's_a_test\r\n");
  try {
    const found = await command(t, place, waitFor, { port, search_regex: "^SSH-\\d\\.\\d-it's", connect_timeout: 1 });
    t.is(found.result!['port'], port);
    await t.throwsAsync(command(t, place, waitFor, { port, search_regex: 'nothing like it', connect_timeout: 1, timeout: 0 }), { message: /^Timeout when waiting for search string nothing like it in 127/ });
  } finally {
    server.close();
  }
});

inShells(test, 'wait_for: files and what is in them', async (t, place) => {
  await writeFile(join(place.dir, "it's here"), 'one\ntwo 22\n');
  const wait = (args: object) => command(t, place, waitFor, { timeout: 0, ...args });
  await t.notThrowsAsync(wait({ path: "it's here" }));
  await t.notThrowsAsync(wait({ path: "~/it's here", search_regex: '^two \\d+$' }));
  const { result } = await wait({ path: "it's here", search_regex: place.shell === 'busybox' ? 'two ([0-9])([0-9]*)(x)?' : '(?P<what>two) (\\d)(\\d*)(x)?' });
  t.deepEqual(result!['match_groups'], [...(place.shell === 'busybox' ? [] : ['two']), '2', '2', null]);
  t.deepEqual(result!['match_groupdict'], place.shell === 'busybox' ? {} : { what: 'two' });
  t.deepEqual((await wait({ path: "it's here" })).result!['match_groups'], []);
  await t.notThrowsAsync(wait({ path: 'gone', state: 'absent' }));
  await t.notThrowsAsync(wait({ path: "it's here", state: 'absent', search_regex: 'three' }));
  await t.throwsAsync(wait({ path: 'gone' }), { message: /^Timeout when waiting for file gone$/ });
  await t.throwsAsync(wait({ path: "it's here", state: 'absent' }), { message: /to be absent/ });
  await t.throwsAsync(wait({ path: "it's here", search_regex: 'three' }), { message: /^Timeout when waiting for search string three in it's here$/ });
  await writeFile(join(place.dir, 'empty'), '');
  await t.throwsAsync(wait({ path: 'empty', search_regex: 'x' }), { message: /^Timeout when waiting for search string x in empty$/ });
});

inShells(test, 'wait_for: waits for what comes later', async (t, place) => {
  const waiting = command(t, place, waitFor, { path: 'later', timeout: 60 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await writeFile(join(place.dir, 'later'), '');
  t.is((await waiting).result!['state'], 'started');
});

inShells(test, 'wait_for: drained', async (t, place) => {
  const { server, port } = await serving('hello');
  const { connect } = await import('node:net');
  const client = connect(port, '127.0.0.1');
  t.teardown(() => (client.destroy(), server.close()));
  await new Promise((resolve) => client.once('data', resolve));
  await t.throwsAsync(command(t, place, waitFor, { port, state: 'drained', timeout: 0 }), { message: /to drain$/ });
  await t.notThrowsAsync(command(t, place, waitFor, { port, state: 'drained', timeout: 0, exclude_hosts: '127.0.0.1' }));
});

test('wait_for: arguments', (t) => {
  const good = (args: object) => waitFor.params.safeParse(args).success;
  t.true(good({ timeout: 1 }));
  t.false(good({ port: 1, path: '/x' }));
  t.false(good({ state: 'drained' }));
  t.false(good({ port: 99999 }));
  t.false(good({ port: 1, state: 'drained', active_connection_states: 'OPEN' }));
});
