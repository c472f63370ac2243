import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { ContentError, NotAheadError } from '../../src/value/errors.js';
import { evaluate } from './scope.js';

/** A process that runs a script and first prints its port: evaluation blocks this one. */
async function server(t: ExecutionContext, script: string): Promise<number> {
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill());
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(port.toString());
}

test('url gives the lines of what a server answers', async (t) => {
  const port = await server(
    t,
    `require('node:http').createServer((request, response) => {
      if (request.url === '/none') response.writeHead(404);
      response.end(request.url === '/who' ? request.headers.authorization + ' ' + request.headers['x-y'] : 'one\\ntwo\\n');
    }).listen(0, '127.0.0.1', function () { console.log(this.address().port); });`,
  );
  const base = `http://127.0.0.1:${port}`;
  t.deepEqual(evaluate(`{{ query('url', '${base}/') }}`), ['one', 'two']);
  t.is(evaluate(`{{ lookup('url', '${base}/', split_lines=false) }}`), 'one\ntwo\n');
  t.is(evaluate(`{{ lookup('url', '${base}/who', username='joe', password='pw', headers={'X-Y': 'z'}) }}`), `Basic ${Buffer.from('joe:pw').toString('base64')} z`);
  t.throws(() => evaluate(`{{ lookup('url', '${base}/none') }}`), { instanceOf: ContentError, message: /answered 404/ });
  t.throws(() => evaluate(`{{ lookup('url', 'https://127.0.0.1:${port}/') }}`), { instanceOf: ContentError, message: /lookup "url" failed/ });
  t.throws(() => evaluate(`{{ lookup('url', '${base}/') }}`, {}, { ahead: true }), { instanceOf: NotAheadError });
});

test('dig asks the name server it is given', async (t) => {
  // Answers A with 192.0.2.7, MX with 10 mail, and has no other name than "known".
  const port = await server(
    t,
    `const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', (query, from) => {
      let end = 12;
      let name = [];
      while (query[end] !== 0) { name.push(query.subarray(end + 1, end + 1 + query[end]).toString()); end += query[end] + 1; }
      const type = query.readUInt16BE(end + 1);
      const question = query.subarray(12, end + 5);
      const data = type === 1 ? Buffer.from([192, 0, 2, 7]) : Buffer.concat([Buffer.from([0, 10, 4]), Buffer.from('mail'), Buffer.from([0])]);
      const known = name.join('.') === 'known.example';
      const head = Buffer.alloc(12);
      query.copy(head, 0, 0, 2);
      head.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
      head.writeUInt16BE(1, 4);
      head.writeUInt16BE(known ? 1 : 0, 6);
      const answer = Buffer.concat([Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length]), data]);
      socket.send(Buffer.concat([head, question, ...(known ? [answer] : [])]), from.port, from.address);
    });
    socket.bind(0, '127.0.0.1', () => console.log(socket.address().port));`,
  );
  const at = `'@127.0.0.1:${port}'`;
  t.is(evaluate(`{{ lookup('community.general.dig', 'known.example', ${at}) }}`), '192.0.2.7');
  t.is(evaluate(`{{ lookup('dig', 'known.example', 'qtype=MX', ${at}) }}`), '10 mail.');
  t.is(evaluate(`{{ lookup('dig', 'known.example/MX', ${at}) }}`), '10 mail.');
  t.is(evaluate(`{{ lookup('dig', 'none.example', ${at}) }}`), 'NXDOMAIN');
  t.deepEqual(evaluate(`{{ query('dig', 'none.example', ${at}, real_empty=true) }}`), []);
  t.throws(() => evaluate(`{{ lookup('dig', 'none.example', ${at}, fail_on_error=true) }}`), { instanceOf: ContentError });
  t.throws(() => evaluate(`{{ lookup('dig', 'x', 'qtype=NOPE', ${at}) }}`), { instanceOf: ContentError, message: /knows no records "NOPE"/ });
});
