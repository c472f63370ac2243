import { didYouMean, ContentError } from '../value/errors.js';
import type { Module } from './module.js';

export { parseArgs, checkArgs, secretParams, describeParams, WHOLE, type Spec, type Param } from './args.js';

/** The collections whose modules exist here. The file of a module is named like it and exports one definition. */
const COLLECTIONS: { [collection: string]: readonly string[] } = {
  'ansible.builtin': [
    'apt', 'apt_key', 'apt_repository', 'assemble', 'blockinfile', 'command', 'copy', 'cron', 'deb822_repository', 'debconf', 'dnf', 'dpkg_selections', 'expect', 'file', 'find', 'get_url', 'getent', 'git', 'group', 'hostname', 'iptables', 'known_hosts', 'lineinfile', 'mount_facts', 'package', 'package_facts',
    'ping', 'pip', 'raw', 'replace', 'rpm_key', 'script', 'service', 'service_facts', 'setup', 'shell', 'slurp', 'stat', 'systemd', 'sysvinit', 'tempfile', 'template',
    'unarchive', 'uri', 'user', 'wait_for', 'yum_repository',
  ],
  'ansible.posix': ['acl', 'at', 'authorized_key', 'firewalld', 'mount', 'seboolean', 'selinux', 'synchronize', 'sysctl'],
  'community.general': ['alternatives', 'archive', 'capabilities', 'cronvar', 'dpkg_divert', 'filesystem', 'git_config', 'haproxy', 'htpasswd', 'ini_file', 'locale_gen', 'make', 'modprobe', 'npm', 'pam_limits', 'sudoers', 'timezone', 'ufw', 'xattr'],
  'community.crypto': ['openssh_keypair', 'openssl_csr', 'openssl_dhparam', 'openssl_privatekey', 'openssl_privatekey_info', 'x509_certificate'],
  'community.mysql': ['mysql_db', 'mysql_query', 'mysql_replication', 'mysql_user', 'mysql_variables'],
};

/** Collections by the name they got later. */
const RENAMED: { [collection: string]: string } = { 'community.mysql': 'ansible.mysql' };

const ALIASES: { [alias: string]: string } = { systemd_service: 'systemd', gather_facts: 'setup', dnf5: 'dnf', yum: 'dnf' };

const BY_NAME = new Map<string, string>();
for (const [collection, names] of Object.entries(COLLECTIONS)) {
  const aliases = Object.entries(ALIASES).filter(([, name]) => names.includes(name));
  for (const [written, name] of [...names.map((name) => [name, name] as const), ...aliases]) {
    BY_NAME.set(written, name);
    BY_NAME.set(`${collection}.${written}`, name);
    if (RENAMED[collection] !== undefined) BY_NAME.set(`${RENAMED[collection]}.${written}`, name);
    if (collection === 'ansible.builtin') BY_NAME.set(`ansible.legacy.${written}`, name);
  }
}

/** Modules of the project and of collections, by the path they go by. */
const own = new Map<string, () => Promise<Module>>();

/**
 * Makes a module known that is none of ours.
 * @param name its canonical name: the path of its file, which no name of ours can be
 */
export function registerModule(name: string, load: () => Promise<Module>): void {
  if (!own.has(name)) own.set(name, load);
}

/** Short names of all modules, sorted. */
export const moduleNames: readonly string[] = Object.values(COLLECTIONS).flat().sort();

/** `ansible.builtin.systemd_service` -> `systemd`; undefined where there is no such module. */
export function canonicalName(written: string): string | undefined {
  return BY_NAME.get(written) ?? (own.has(written) ? written : undefined);
}

/** The name to give in playbooks that may leave out the collection: `mysql_user` -> `community.mysql.mysql_user`. */
export function fullName(name: string): string {
  const collection = Object.keys(COLLECTIONS).find((key) => COLLECTIONS[key]!.includes(name));
  return `${collection}.${name}`;
}

const loaded = new Map<string, Promise<Module>>();

/**
 * Loads a module when it is first needed.
 * @param name as written or canonical
 * @throws ContentError where there is no such module
 */
export function loadModule(name: string): Promise<Module> {
  const canonical = canonicalName(name);
  if (canonical === undefined) {
    return Promise.reject(new ContentError(`there is no module "${name}"`, undefined, didYouMean(name, moduleNames)));
  }
  let module = loaded.get(canonical);
  if (module === undefined) {
    module = own.get(canonical)?.() ?? import(`./${canonical}.js`).then(onlyDefinition);
    loaded.set(canonical, module);
  }
  return module;
}

/** The definition a module file exports, under whatever name. @throws TypeError where it exports none */
export function onlyDefinition(file: { [name: string]: unknown }): Module {
  const definition = Object.values(file).find((each) => typeof each === 'object' && each !== null && 'kind' in each && 'params' in each);
  if (definition === undefined) throw new TypeError('the file exports no module definition');
  return definition as Module;
}
