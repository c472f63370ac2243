import { join, sh } from '../shell/sh.js';
import { parseInstalled } from './dpkg.js';
import { fields } from './look.js';
import { defineModule, ModuleError } from './module.js';
import { choice, list, params } from './params.js';

/** One installed package. */
type Package = { name: string; version: string; source: string } & { [field: string]: unknown };

interface Manager {
  /** The command that tells whether the host has it. */
  command: string;
  /** Prints what is installed. */
  list: string;
  read(text: string): Omit<Package, 'source'>[];
}

const rows = (text: string): string[][] => text.split('\n').filter((line) => line !== '').map((line) => line.split('\t'));

/** In the order in which `auto` tries them. */
const MANAGERS: { [name: string]: Manager } = {
  apt: {
    command: 'dpkg-query',
    list: "dpkg --print-architecture && dpkg-query -W -f '${db:Status-Abbrev}\\t${Package}\\t${Architecture}\\t${Version}\\t${Section}\\n'",
    read(text) {
      const [native, ...lines] = text.split('\n');
      return lines.filter((line) => line !== '').flatMap((line) => {
        const [found] = parseInstalled([line.split('\t').slice(0, 4).join('\t')]);
        if (found?.status !== 'installed') return [];
        const { name, arch, version } = found;
        return [{ name: arch === native || arch === 'all' ? name : `${name}:${arch}`, version, arch, category: line.split('\t')[4] }];
      });
    },
  },
  rpm: {
    command: 'rpm',
    list: "rpm -qa --qf '%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%{EPOCH}\\t%{ARCH}\\n'",
    read: (text) => rows(text).map(([name, version, release, epoch, arch]) => ({ name: name!, version: version!, release, epoch: epoch === '(none)' ? null : Number(epoch), arch: arch === '(none)' ? null : arch })),
  },
  pacman: {
    command: 'pacman',
    list: 'LC_ALL=C pacman -Qi',
    read: (text) =>
      text.split(/\n\n+/).filter((one) => one.trim() !== '').map((one) => {
        const field = (name: string) => new RegExp(`^${name} *: (.*)$`, 'm').exec(one)?.[1] ?? '';
        const provides = field('Provides');
        return { name: field('Name'), version: field('Version'), arch: field('Architecture'), provides: provides === 'None' ? null : provides.split(/\s+/).map((each) => each.split('=')[0]) };
      }),
  },
  apk: {
    command: 'apk',
    list: 'apk info -v 2>/dev/null',
    read: (text) =>
      rows(text).map(([line]) => {
        const [, name = line!, version = '', release = ''] = /^(.*)-([^-]+)-([^-]+)$/.exec(line!) ?? [];
        return { name, version, release };
      }),
  },
};

const ALIASES: { [alias: string]: string } = { dnf: 'rpm', dnf5: 'rpm', yum: 'rpm', zypper: 'rpm' };

const schema = params({
  manager: list(`Whom to ask: auto, ${[...Object.keys(MANAGERS), ...Object.keys(ALIASES)].join(', ')}.`).default(['auto']),
  strategy: choice(['first', 'all'], 'Whether the first that the host has tells, or all of them.').default('first'),
}).check((context) => {
  for (const name of context.value.manager) {
    if (name !== 'auto' && !(named(name) in MANAGERS)) context.issues.push({ code: 'custom', message: `package_facts cannot ask "${name}"; it can ask ${Object.keys(MANAGERS).join(', ')}`, input: context.value, path: ['manager'] });
  }
});

const named = (name: string): string => ALIASES[name.toLowerCase()] ?? name.toLowerCase();

function chosen(managers: readonly string[]): string[] {
  const all = managers.map(named);
  return [...new Set(all.includes('auto') ? [...all.filter((name) => name !== 'auto'), ...Object.keys(MANAGERS)] : all)];
}

export const packageFacts = defineModule<typeof schema, { [name: string]: Package[] }>({
  name: 'package_facts',
  summary: 'Gathers the installed packages as facts.',
  params: schema,
  returns: { ansible_facts: 'A dict `packages`: of each name the list of installed versions, each a dict with name, version, source and, by package manager, arch, category, release, epoch.' },
  examples: [
    `- package_facts:
- debug:
    msg: nginx {{ ansible_facts.packages.nginx[0].version }}
  when: "'nginx' in ansible_facts.packages"
`,
  ],
  readOnly: true,
  inspect: ({ manager, strategy }) =>
    join([
      ...chosen(manager).map((name) => {
        const { command, list } = MANAGERS[name]!;
        return sh`if command -v ${command} >/dev/null; then
  p=$(sh -c ${list}) || exit
  printf '%s\\000%s\\000' ${name} "$p"
${strategy === 'first' ? sh`  exit 0` : join([])}
fi`;
      }),
      sh`printf '\\000'`,
    ]),
  parse(output) {
    const all = fields(output, 'listing packages');
    const packages: { [name: string]: Package[] } = {};
    if (all[0] === '') throw new ModuleError('the host has none of the package managers that were asked for');
    for (let i = 0; i + 1 < all.length; i += 2) {
      for (const found of MANAGERS[all[i]!]!.read(all[i + 1]!)) (packages[(found as Package).name] ??= []).push({ ...found, source: all[i]! } as Package);
    }
    return packages;
  },
  compare: () => [],
  apply() {
    throw new ModuleError('package_facts changes nothing');
  },
  result: (_wanted, packages) => ({ ansible_facts: { packages } }),
});
export default packageFacts;
