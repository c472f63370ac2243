import test from 'ava';
import type { Event } from '../../src/report/events.js';
import { MASKED, Mask, mask } from '../../src/report/mask.js';
import { Secret, toPlain, toValue } from '../../src/value/value.js';

function knowing(...secrets: string[]): Mask {
  const sink = new Mask();
  for (const secret of secrets) sink.add(secret);
  return sink;
}

test('masks a secret as it is, in JSON, in shell quotes and in URLs', (t) => {
  const secret = `it's "my" p/ss word`;
  const sink = knowing(secret);
  t.is(sink.text(`pw=${secret};`), `pw=${MASKED};`);
  t.is(sink.text(JSON.stringify({ a: secret })), `{"a":"${MASKED}"}`);
  t.is(sink.text(JSON.stringify(JSON.stringify(secret))), `"\\"${MASKED}\\""`);
  t.is(sink.text(`echo '${secret.replaceAll("'", "'\\''")}'`), `echo '${MASKED}'`);
  t.is(sink.text(`http://u:${encodeURIComponent(secret)}@h/`), `http://u:${MASKED}@h/`);
});

test('masks base64 of it, alone and within a longer text at any alignment', (t) => {
  const sink = knowing('s3cret-password');
  for (const before of ['', 'u', 'us', 'usr', 'user:']) {
    const encoded = Buffer.from(`${before}s3cret-password and more`).toString('base64');
    const text = sink.text(`Authorization: Basic ${encoded}`);
    t.true(text.includes(MASKED), before);
    const left = text.replace('Authorization: Basic ', '').split(MASKED);
    t.true(left.every((part) => !Buffer.from(part, 'base64').toString().includes('cret')), before);
  }
  const urlSafe = knowing('~~~???>>>').text(Buffer.from('~~~???>>>').toString('base64url'));
  t.is(urlSafe, MASKED);
});

test('the longest secret wins, so that no tail is left', (t) => {
  t.is(knowing('pass', 'password123').text('password123 pass'), `${MASKED} ${MASKED}`);
});

test('short values stay, and so does text without secrets', (t) => {
  const sink = knowing('abc', '');
  t.is(sink.text('abc abc'), 'abc abc');
});

test('each long line of a private key is masked by itself', (t) => {
  const sink = knowing('-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nrest\n-----END KEY-----\n');
  t.is(sink.text('+MIIEvQIBADANBgkqhkiG'), `+${MASKED}`);
});

test('characters special to regular expressions are plain', (t) => {
  const secret = '.*[a-z]+(\\d)$^{2}|/?';
  t.is(knowing(secret).text(`x${secret}y and abcd`), `x${MASKED}y and abcd`);
});

test('an event keeps its structure though a secret is a common word', (t) => {
  const sink = knowing('changed', 'web1', '123456');
  const event: Event = {
    event: 'result',
    host: 'web1',
    id: 'web1',
    task: 'say changed',
    origin: { file: 'web1.yml', line: 1, column: 1 },
    delegate: undefined,
    result: { status: 'changed', message: 'it changed', changes: [], data: { changed: true, number: 123456, list: ['web1'] }, error: undefined, seconds: 123456 },
  };
  const clean = sink.event(event);
  t.is(clean.host, 'web1');
  t.is(clean.result.status, 'changed');
  t.is(clean.task, `say ${MASKED}`);
  t.is(clean.result.message, `it ${MASKED}`);
  t.deepEqual(clean.result.data, { [MASKED]: true, number: MASKED, list: [MASKED] });
  t.is(event.result.message, 'it changed', 'the original is left alone');
});

test('a member called __proto__ is masked as any other', (t) => {
  const data = toPlain(toValue(JSON.parse('{"__proto__": {"word": "s3cret-password"}}')), false);
  t.is(JSON.stringify(knowing('s3cret-password').data(data)), `{"__proto__":{"word":"${MASKED}"}}`);
});

test('every Secret that is made is known to the sink', (t) => {
  new Secret('made-a-moment-ago');
  t.is(mask.text('<made-a-moment-ago>'), `<${MASKED}>`);
});

test('thousands of secrets mask a large text', (t) => {
  const sink = knowing(...Array.from({ length: 2000 }, (_, i) => `secret-number-${i}-${i * 7919}`));
  const text = sink.text(Array.from({ length: 20000 }, (_, i) => `line ${i} secret-number-${i % 2000}-${(i % 2000) * 7919}`).join('\n'));
  t.notRegex(text, /secret-number/);
});
