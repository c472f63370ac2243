/** Lookups that ask the network. Evaluation does not wait, so a process of its own asks. */
import { execFileSync } from 'node:child_process';
import { NotAheadError } from '../value/errors.js';
import type { Value } from '../value/value.js';
import { asDict, asInt, iterate, numeric, read, str, truthy } from './python.js';
import { table, type Env } from './registry.js';
import { fail } from './undefined.js';

/** Runs a script with `input` in another node and gives what it answers in JSON. @throws Failure with its last line */
function ask(env: Env, what: string, script: string, input: unknown, environment: { [name: string]: string } = {}): unknown {
  if (env.scope.services.ahead) throw new NotAheadError(`the lookup "${what}"`);
  try {
    const answer = execFileSync(process.execPath, ['--input-type=module', '--no-warnings', '-e', script], { input: JSON.stringify(input), encoding: 'utf8', env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024, stdio: ['pipe', 'pipe', 'pipe'] });
    return JSON.parse(answer);
  } catch (error) {
    const lines = String((error as { stderr?: string }).stderr ?? error).trim().split('\n');
    return fail(`the lookup "${what}" failed: ${lines.at(-1)}`, 'check the name and the connection');
  }
}

const READ = `const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk); const input = JSON.parse(Buffer.concat(chunks)); const wrong = (text) => { console.error(text); process.exit(1); };`;

const FETCH = `${READ}
try {
  const response = await fetch(input.url, { headers: input.headers, redirect: input.redirect ? 'follow' : 'manual', signal: AbortSignal.timeout(input.timeout * 1000) });
  if (!response.ok) wrong(input.url + ' answered ' + response.status + ' ' + response.statusText);
  process.stdout.write(JSON.stringify(await response.text()));
} catch (error) { wrong(input.url + ': ' + (error.cause?.code ?? error.cause?.message ?? error.message)); }`;

const DIG = `${READ}
import { Resolver } from 'node:dns/promises';
const resolver = new Resolver({ timeout: input.timeout * 1000, tries: 2 });
if (input.servers.length > 0) resolver.setServers(input.servers);
const answers = [];
for (const { name, type } of input.questions) {
  try {
    answers.push(type === 'PTR' && /^[\\d.]+$|:/.test(name) ? await resolver.reverse(name) : await resolver.resolve(name, type));
  } catch (error) {
    if (error.code !== 'ENOTFOUND' && error.code !== 'ENODATA') wrong(name + ': ' + error.code);
    answers.push(error.code);
  }
}
process.stdout.write(JSON.stringify(answers));`;

/** A record as dig writes it. */
function recordText(type: string, record: any): string {
  const dotted = (name: string) => (name.endsWith('.') ? name : `${name}.`);
  switch (type) {
    case 'MX':
      return `${record.priority} ${dotted(record.exchange)}`;
    case 'SRV':
      return `${record.priority} ${record.weight} ${record.port} ${dotted(record.name)}`;
    case 'TXT':
      return record.join('');
    case 'SOA':
      return `${dotted(record.nsname)} ${dotted(record.hostmaster)} ${record.serial} ${record.refresh} ${record.retry} ${record.expire} ${record.minttl}`;
    case 'CAA':
      return `${record.critical} ${Object.entries(record).filter(([key]) => key !== 'critical').map(([key, value]) => `${key} "${String(value)}"`).join(' ')}`;
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return dotted(String(record));
  }
  return String(record);
}
const RECORDS = ['A', 'AAAA', 'CAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'];

function dig(env: Env, terms: Value[], given: { qtype: Value; failOnError: Value; realEmpty: Value }): Value[] {
  const names: string[] = [];
  const servers: string[] = [];
  let type = str(given.qtype).toUpperCase();
  let realEmpty = truthy(given.realEmpty);
  for (const term of terms.flatMap((one) => str(one).split(/,\s*/))) {
    const option = /^(\w+)=(.*)$/.exec(term);
    if (term.startsWith('@')) servers.push(...term.slice(1).split(','));
    else if (option?.[1] === 'qtype') type = option[2]!.toUpperCase();
    else if (option?.[1] === 'real_empty') realEmpty = /^(?:1|yes|true)$/i.test(option[2]!);
    else if (option) fail(`the lookup "dig" has no option "${option[1]}" here`, 'it takes qtype, real_empty and @server');
    else names.push(...(term.includes('/') ? [term.slice(0, term.indexOf('/'))] : [term]));
    if (term.includes('/') && !option) type = term.slice(term.indexOf('/') + 1).toUpperCase();
  }
  if (!RECORDS.includes(type)) fail(`the lookup "dig" knows no records "${type}"`, `it knows ${RECORDS.join(', ')}`);
  const answers = ask(env, 'dig', DIG, { questions: names.map((name) => ({ name, type })), servers, timeout: 10 }) as (string | unknown[])[];
  return answers.flatMap((answer, i): Value[] => {
    if (typeof answer === 'string') {
      if (truthy(given.failOnError)) return fail(`the lookup "dig" found no ${type} record of ${names[i]}`);
      return realEmpty ? [] : [answer === 'ENOTFOUND' ? 'NXDOMAIN' : ''];
    }
    return (Array.isArray(answer) ? answer : [answer]).map((record) => recordText(type, record));
  });
}

export const NET_LOOKUPS = table<Value[]>({
  'url(_terms, validate_certs=true, split_lines=true, use_proxy=true, username=null, password=null, headers={}, force=false, timeout=10, http_agent="ansible-httpget", follow_redirects="urllib2", ca_path=null)': (env, terms: Value[], validate, split, _proxy, user, password, headers, _force, timeout, agent, follow, authorities) =>
    terms.flatMap((term) => {
      const own: { [name: string]: string } = { 'user-agent': str(agent) };
      for (const [name, value] of asDict(headers, 'headers')) own[str(name)] = str(value);
      if (user !== null) own['authorization'] = `Basic ${Buffer.from(`${str(user)}:${password === null ? '' : str(password)}`).toString('base64')}`;
      const text = ask(env, 'url', FETCH, { url: str(term), headers: own, redirect: !/^(?:no|none|false)$/i.test(str(follow)), timeout: Number(numeric(read(timeout)) ?? asInt(timeout, 'timeout')) }, { ...(truthy(validate) ? {} : { NODE_TLS_REJECT_UNAUTHORIZED: '0' }), ...(authorities === null ? {} : { NODE_EXTRA_CA_CERTS: str(authorities) }) }) as string;
      return truthy(split) ? text.replace(/\r?\n$/, '').split(/\r?\n/) : [text];
    }),
  'dig(_terms, qtype="A", flat=true, fail_on_error=false, real_empty=false)': (env, terms: Value[], qtype, _flat, failOnError, realEmpty) => dig(env, terms.flatMap((one) => (Array.isArray(read(one)) ? iterate(one) : [one])), { qtype, failOnError, realEmpty }),
});
