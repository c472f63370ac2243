import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConnectionError } from '../../src/connection/connection.js';
import { TripDecoder } from '../../src/connection/decode.js';
import { encodeTrip } from '../../src/connection/frames.js';
import { parseKnownHosts } from '../../src/connection/known-hosts.js';
import { compileExpression, compileJinja, Record as Reads } from '../../src/expression/index.js';
import { loadInventory, matchHosts } from '../../src/inventory/index.js';
import { loadModule, moduleNames, parseArgs } from '../../src/modules/index.js';
import { ModuleError, type Declarative, type Module } from '../../src/modules/module.js';
import { checkEntries, loadPlaybookText, type LoadContext } from '../../src/playbook/index.js';
import { Template } from '../../src/template/compile.js';
import { ContentError, NotAheadError, UnknownError } from '../../src/value/errors.js';
import { toPlain, toValue, type Value } from '../../src/value/value.js';
import { dumpYaml, parseData, parseYaml } from '../../src/yaml/index.js';
import { scopeOf } from '../expression/scope.js';
import { controller } from '../modules/harness.js';
import { effect, inspection } from '../connection/shells.js';

/** What is fed with hostile text: it takes it, or refuses it with an error of ours. */
export interface Target {
  /** Valid cases, to be mutated. */
  seeds: readonly string[];
  /** What the language is made of, besides what harms any. */
  tokens: readonly string[];
  /** @throws one of OURS for what is refused */
  run(text: string): unknown;
}

/** Errors that tell somebody what is wrong. Anything else (TypeError, RangeError) is a fault of Muster. */
export const OURS = [ContentError, UnknownError, NotAheadError, ModuleError, ConnectionError];

const here = { file: 'fuzz', line: 1, column: 1 };
const filesBelow = (folder: string, pattern: RegExp) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name) && statSync(join(folder, name)).isFile())
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .filter((text) => text.length < 4000);

const YAML_TOKENS = [': ', '- ', '\n', '\n  ', '? ', '&a ', '*a', '<<: *a', '!vault ', '!unsafe ', '!!int ', '!!binary ', '|', '>', '|-2\n', '---\n', '...', '%YAML 1.1\n', '#', '"', "'", '{', '}', '[', ']', ',', '{{ x }}', '0o7', '1_000', '.inf', '1:2:3', '~', 'yes', '$ANSIBLE_VAULT;1.1;AES256\n'];
const EXPRESSION_TOKENS = [
  '(', ')', '[', ']', '{', '}', ',', ':', '.', '|', ' is ', ' not ', ' in ', ' if ', ' else ', ' and ', ' or ', '~', '+', '-', '*', '**', '/', '//', '%', '==', '<', '"s"', "'s'", 'a', 'l', 'd', 'n', 't', '0', '1', '-1', '2.5', '99999999999', 'none', 'true',
  '| join(",")', '| map("upper")', '| default("x")', '| int', '| list', '| string', '| to_json', '| from_json', '| from_yaml', '| combine(d)', '| regex_replace("a*", "b")', '| format(1)', '| indent(3)', '| batch(2)', '| dict2items', '| flatten', '| sort', '| random', '| b64decode', '| urldecode', '| center(9)', '| strftime', '| human_to_bytes', '| ipaddr', '| selectattr("k")', '| groupby("k")', '| password_hash',
  'range(9)', 'range(99999999999)', 'lookup("file", "x")', 'lookup("sequence", "1-9")', 'query("dict", d)', 'cycler(1)', 'joiner()', 'namespace()', '.split()', '.format(1)', '.items()', '.keys()', '.append(1)', '.__class__', '.zfill(99)', ' is match("a")', ' is version("1", ">")', '[::-1]', '[9]', "['k']", '"%5s" % a', '"{:>9}".format(a)',
];
const TEMPLATE_TOKENS = ['{{ ', ' }}', '{%', '%}', '{%- ', ' -%}', '{#', '#}', '{% if a %}', '{% else %}', '{% endif %}', '{% for x in l %}', '{% endfor %}', '{% set x = 1 %}', '{% macro m(a) %}', '{% endmacro %}', '{% raw %}', '{% endraw %}', '{% include "x" %}', '{% filter upper %}', '{% endfilter %}', '{% call m(1) %}', '{% endcall %}', '{{ loop.index }}', '#jinja2: trim_blocks: False\n'];
const HANDLEBARS_TOKENS = ['{{', '}}', '{{{', '}}}', '{{#', '{{/', '{{^', '{{else', '{{!--', '--}}', '{{~', '~}}', '{{#if a}}', '{{/if}}', '{{#each l}}', '{{/each}}', '{{#each d as |v k|}}', '{{#with d}}', '{{/with}}', '{{#unless n}}', '{{/unless}}', '{{@index}}', '{{@key}}', '{{this}}', '{{../a}}', '{{> p}}', '{{#> p}}', '{{/p}}', '{{*inline}}', '(upper a)', '[x y]', '{{lookup d "k"}}', '{{join l ","}}', '{{default zz "x"}}', '\\{{', '{{{{raw}}}}', '{{{{/raw}}}}', 'as |x|', '=', '"s"', '1', '../', './', '@root.'];

const VARS: { [name: string]: Value } = { a: 'text', n: 7, t: true, l: ['x', 'y', 3], d: toValue({ k: 'v', other: [1, 2], deep: { er: 1 } }), f: 2.5, none_: null };
const scope = () => scopeOf(VARS, { ahead: true, find: () => undefined });
const evaluated = (value: Value): unknown => toPlain(value, false);

async function inventory(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  writeFileSync(path, text);
  const loaded = await loadInventory([path]);
  matchHosts('all:!x*', loaded);
}

async function playbook(folder: string, text: string): Promise<void> {
  const ctx: LoadContext = { projectDir: folder, rolesPath: [], extraVars: new Map(), problems: [] };
  const { plays } = await loadPlaybookText(text, 'fuzz.yml', ctx);
  for (const { sections, handlers, roles } of plays) await checkEntries([...sections.flatMap((section) => section.entries), ...handlers], roles, folder, ctx);
}

const BOUNDARY = '0123456789abcdef0123456789abcdef';
const TRIP = { effect: effect('echo out; echo err >&2; exit 3'), inspections: [inspection('echo one'), inspection('echo two; exit 4')] };

/** What a real shell answers, both streams behind each other with NUL between. */
function answered(): string {
  const { stdout, stderr } = spawnSync('/bin/sh', { input: encodeTrip(TRIP, { boundary: BOUNDARY }), encoding: 'latin1' });
  return `${stdout}\0${stderr}`;
}

function decode(text: string): unknown {
  const at = text.lastIndexOf('\0');
  const decoder = new TripDecoder(TRIP, BOUNDARY);
  for (let i = 0; i < at; i += 97) decoder.stdout(Buffer.from(text.slice(i, Math.min(at, i + 97)), 'latin1'));
  decoder.stderr(Buffer.from(text.slice(at + 1), 'latin1'));
  return decoder.done ? decoder.result('host') : [decoder.noise, decoder.spoilt, decoder.becomes];
}

/** Arguments that let each declarative module look at a host. */
const ARGUMENTS: { [module: string]: { [name: string]: unknown } } = {
  apt: { name: ['nginx', 'curl=1.*'], state: 'latest' },
  authorized_key: { user: 'root', key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq5B2C3D4 x' },
  blockinfile: { path: '/etc/hosts', block: 'a' },
  copy: { content: 'x', dest: '/etc/hostname' },
  cron: { name: 'x', job: 'true' },
  file: { path: '/etc', state: 'directory', mode: '0755', recurse: true },
  get_url: { url: 'http://x/', dest: '/tmp/x' },
  group: { name: 'root' },
  hostname: { name: 'x' },
  lineinfile: { path: '/etc/hosts', line: 'a', regexp: '^a' },
  replace: { path: '/etc/hosts', regexp: 'a', replace: 'b' },
  service: { name: 'ssh', state: 'started', enabled: true },
  setup: {},
  slurp: { src: '/etc/hostname' },
  stat: { path: '/etc/hostname' },
  sysctl: { name: 'vm.swappiness', value: '10' },
  systemd: { name: 'ssh', state: 'started', enabled: true },
  user: { name: 'root', groups: ['root'], append: true },
  haproxy: { state: 'enabled', backend: 'b', host: 'h' },
};

/** What this machine answers to the inspection of each module, and what the modules make of another answer. */
async function modules(): Promise<Target> {
  const looks: { module: Declarative<any, any, any>; wanted: any }[] = [];
  const seeds: string[] = [];
  for (const name of moduleNames) {
    const module: Module = await loadModule(name);
    if (module.kind !== 'declarative' || !(name in ARGUMENTS)) continue;
    const args = parseArgs(module, ARGUMENTS[name] as {}, new Map());
    const wanted = module.prepare ? await module.prepare(args as never, controller()) : args;
    const { stdout } = spawnSync('/bin/sh', { input: module.inspect(wanted).text, encoding: 'utf8', maxBuffer: 1 << 26 });
    if (stdout.length < 100_000) seeds.push(`${looks.length}\n${stdout}`);
    looks.push({ module, wanted });
  }
  return {
    seeds,
    tokens: ['\0', '\n', '0', '-1', '4294967296', 'file', 'directory', 'link', '/etc', 'root', 'end', 'look', ':', '=', ' ', '{"a": 1}', '[]'],
    async run(text) {
      const [number, ...rest] = text.split('\n');
      const { module, wanted } = looks[Number(number)] ?? looks[0]!;
      const observed = module.parse({ rc: 0, stdout: rest.join('\n'), stderr: '' }, wanted);
      const settled = module.refine ? await module.refine(wanted, observed) : wanted;
      const changes = module.compare(settled, observed);
      if (changes.length > 0) module.apply(settled, observed, changes);
      toPlain(toValue(module.result(settled, observed)), false);
    },
  };
}

/** All targets by name; made at the first use. @param folder for files that are read by path; whoever gives it removes it */
export const TARGETS: { [name: string]: (folder: string) => Target | Promise<Target> } = {
  yaml: () => ({
    seeds: [...filesBelow('playbooks', /\.yml$/).slice(0, 30), 'a: &x {b: 1}\nc: *x\nd: {<<: *x, e: [1, 2.5, yes]}\n', 'k: |\n  text\n  more\nf: >-\n  folded\n'],
    tokens: YAML_TOKENS,
    run: (text) => {
      parseYaml(text, 'fuzz.yml');
      dumpYaml(parseData(text));
    },
  }),
  playbook: (folder) => ({
    seeds: [...filesBelow('playbooks', /^[\w-]+\.yml$/), ...filesBelow('playbooks/roles', /tasks\/.*\.yml$/).slice(0, 30).map((text) => `- hosts: all\n  tasks:\n${text.replace(/^---\n/, '').replace(/^/gm, '    ')}`)],
    tokens: [...YAML_TOKENS, 'hosts: all\n', 'tasks:\n', 'when: ', 'loop: ', 'block:\n', 'rescue:\n', 'confirm: 60s\n', 'vars: ', 'with_items: ', 'import_tasks: x\n', 'include_role: ', 'register: ', 'command: ', 'name=x ', 'roles: ', 'notify: '],
    run: (text) => playbook(folder, text),
  }),
  'inventory, YAML': (folder) => ({
    seeds: ['all:\n  hosts:\n    web[1:3]: {ansible_host: 10.0.0.1, ansible_port: 22}\n  children:\n    db: {hosts: {db1: }, vars: {x: "{{ y }}"}}\n', ...filesBelow('inventory', /\.ya?ml$/)],
    tokens: [...YAML_TOKENS, 'hosts:', 'children:', 'vars:', '[1:3]', '[a:z]', '[01:99999999]', '[9:1]', 'all:', 'ungrouped:', ':22', '[::1]:22'],
    run: (text) => inventory(folder, 'hosts.yml', text),
  }),
  'inventory, INI': (folder) => ({
    seeds: ['web[01:03] ansible_host=10.0.0.1 x="a b" y=[1,2]\n[db]\ndb1:2222\n[db:vars]\nz={"k": 1}\n[all:children]\ndb\n', ...filesBelow('test/inventory/cases', /hosts|\.ini$|inventory$/)],
    tokens: ['[', ']', '[db]', ':children]', ':vars]', '=', '"', "'", '#', ';', '\n', ' ', '[1:3]', '[a:z]', '[01:99999999]', '[1:9:2]', ':22', '{"a": 1}', "{'a': [1, (2,)]}", '(1, 2)', 'True', 'None', '0x1f', '1e9', "b'x'"],
    run: (text) => inventory(folder, 'hosts', text),
  }),
  patterns: () => ({
    seeds: ['web:&db:!db1', 'web[0:2]', '~web\\d+', '*.example.com', 'all,!x', 'web[-1]', '@limit'],
    tokens: [':', ',', '!', '&', '~', '*', '?', '[', ']', '[0:', '(', ')', '+', '(a+)+', '\\', 'web', 'all'],
    async run(text) {
      const known = await loadInventory(['web1,web2,db1,']);
      matchHosts(text.replaceAll('@', ''), known);
    },
  }),
  expression: () => ({
    seeds: ['a', "l | map('upper') | join(', ')", "d.k ~ 'x' if n > 3 else none_", "[x for x in l]", 'l[1:][0]', "{'k': [1, (2, 3)]}", "'%s-%05d' % (a, n)", "a is match('t.*') and not t", "d | dict2items | selectattr('key', '==', 'k') | list", 'lookup("file", "x", errors="ignore")', "'{:>10}'.format(a)", ...readFileSync('test/expression/cases/ansible.txt', 'utf8').split('\n').filter((line) => line.includes(' => ')).map((line) => line.slice(0, line.lastIndexOf(' => ')))],
    tokens: EXPRESSION_TOKENS,
    run: (text) => evaluated(compileExpression(text, here).evaluate(scope(), new Reads())),
  }),
  jinja: () => ({
    seeds: ['{% for x in l %}{{ loop.index }}: {{ x }}\n{% else %}none{% endfor %}', '{% macro m(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}', '{% set ns = namespace(x=1) %}{% if a %}{% set ns.x = 2 %}{% endif %}{{ ns.x }}', '{% raw %}{{ x }}{% endraw %}{# c #}{{ "}}" }}'],
    tokens: [...TEMPLATE_TOKENS, ...EXPRESSION_TOKENS],
    run: (text) => compileJinja(text, 'fuzz.j2').render(scope(), new Reads()).text.length,
  }),
  handlebars: () => ({
    seeds: ['{{#each l}}{{@index}} {{this}}{{#unless @last}}, {{/unless}}{{/each}}\n', '{{#if t}}yes{{else if n}}maybe{{else}}no{{/if}}', '{{join l ", "}} {{default zz "x"}} {{#with d}}{{k}} {{../a}}{{/with}}', '{{#each d as |v k|}}{{k}}={{v}}\n{{/each}}{{!-- c --}}', ...filesBelow('templates', /\.hbs$/)],
    tokens: [...HANDLEBARS_TOKENS],
    run(text) {
      const template: Template = new Template(text, 'fuzz.hbs', (name, origin) => {
        if (name !== 'p') throw new ContentError(`there is no partial "${name}"`, origin);
        return () => template;
      });
      return template.render(scope(), new Reads()).text.length;
    },
  }),
  frames: () => ({
    seeds: [answered()],
    tokens: ['\0', '\n', `\n${BOUNDARY} `, `\n${BOUNDARY} end 1\n`, `\n${BOUNDARY} rc 0\n`, `\n${BOUNDARY} section\n`, `\n${BOUNDARY} answers 4\n`, `\n${BOUNDARY} answers 99999999999\n`, `\n${BOUNDARY} done\n`, `\n${BOUNDARY} next\n`, `\n${BOUNDARY} left -1\n`, `\n${BOUNDARY} pid x\n`, `\n${BOUNDARY} begin\n`, 'AAAA', BOUNDARY],
    run: decode,
  }),
  'known hosts': () => ({
    seeds: ['host,10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq5\n|1|abc=|def= ssh-rsa AAAA\n@revoked [h]:22 ssh-rsa AAAA # c\n@cert-authority *.x ssh-rsa AAAA\n'],
    tokens: [' ', '\n', '|1|', '|', '=', '@revoked', '@', '*', '!', '?', '[', ']:', ',', '#', 'ssh-rsa', 'AAAA'],
    run: (text) => parseKnownHosts(text, 'fuzz'),
  }),
  modules,
};
