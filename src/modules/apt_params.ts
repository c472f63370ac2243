/** What may be asked of apt. */
import { z } from 'zod';
import { isPattern, parseSpec, type Spec } from './dpkg.js';
import { bool, choice, int, list, params, str } from './params.js';

const upgrades = z
  .union([z.boolean(), z.string()])
  .transform((value, context) => {
    const word = typeof value === 'boolean' ? (value ? 'yes' : 'no') : value;
    if (['no', 'yes', 'safe', 'full', 'dist'].includes(word)) return word as 'no' | 'yes' | 'safe' | 'full' | 'dist';
    context.addIssue({ code: 'custom', message: `upgrade is one of no, yes, safe, full, dist; not "${word}"` });
    return z.NEVER;
  })
  .meta({ description: 'Upgrades all packages: yes and safe remove none, full and dist may.', title: 'str' });

export const bare = params({
  name: list('Packages: name, name=version, name>=version, name/release; patterns of names and versions too. With latest, * stands for all that are installed.').meta({ aliases: ['package', 'pkg'] }).optional(),
  state: choice(['present', 'latest', 'absent', 'fixed', 'build-dep'], 'What the packages shall be; fixed mends broken dependencies, build-dep installs what building them takes.').default('present'),
  deb: str('A .deb file on the host, or a URL to fetch one from.').optional(),
  update_cache: bool('Whether the lists of packages are updated before, where something is to be done.').meta({ aliases: ['update-cache'] }).optional(),
  cache_valid_time: int('Seconds for which lists count as up to date; given, it means update_cache too.').default(0),
  update_cache_retries: int('How often a failed update is tried again.').default(5),
  update_cache_retry_max_delay: int('Most seconds between two tries.').default(12),
  upgrade: upgrades.default('no'),
  purge: bool('Whether configuration files go with removed packages.').default(false),
  autoremove: bool('Whether packages are removed that nothing needs any more.').default(false),
  autoclean: bool('Whether fetched package files are deleted that can no longer be fetched.').default(false),
  clean: bool('Whether all fetched package files are deleted.').default(false),
  install_recommends: bool('Whether recommended packages are installed too; apt decides unless given.').meta({ aliases: ['install-recommends'] }).optional(),
  default_release: str('The release packages are taken from first.').meta({ aliases: ['default-release'] }).optional(),
  only_upgrade: bool('Whether to leave alone what is not installed.').default(false),
  fail_on_autoremove: bool('Whether to fail where packages would be removed.').default(false),
  allow_downgrade: bool('Whether a lower version may replace a higher one.').meta({ aliases: ['allow-downgrade', 'allow_downgrades', 'allow-downgrades'] }).default(false),
  allow_change_held_packages: bool('Whether held packages may change.').default(false),
  allow_unauthenticated: bool('Whether packages without signature are taken.').meta({ aliases: ['allow-unauthenticated'] }).default(false),
  force: bool('All the allowances above at once, and removal of essential packages.').default(false),
  dpkg_options: list('Options for dpkg, without the dashes.').default(['force-confdef', 'force-confold']),
  lock_timeout: int("Seconds to wait while another process holds apt's or dpkg's lock.").default(60),
  policy_rc_d: int('Exit status services get when packages ask whether they may start: 101 keeps them from it.').optional(),
  force_apt_get: bool('Taken for compatibility: it is always apt-get.').default(false),
  auto_install_module_deps: bool('Taken for compatibility: nothing need be installed.').default(true),
});
/** `diff`: whether what apt-get prints of the packages is wanted as a diff. */
export type Wanted = z.output<typeof bare> & { diff?: boolean };

/** What must hold between the parameters. */
export function rules(context: z.core.ParsePayload<Wanted>): void {
  const wanted = context.value;
  const issue = (message: string, path: string) => context.issues.push({ code: 'custom', message, input: wanted, path: [path] });
  for (const name of wanted.name ?? []) {
    try {
      const spec = parseSpec(name);
      if (isPattern(spec.name) && wanted.state === 'build-dep') issue(`state: build-dep takes names without patterns: "${name}"`, 'name');
    } catch (error) {
      issue((error as Error).message, 'name');
    }
  }
  if (wanted.state === 'latest' && wanted.name?.includes(ALL) && wanted.name.length > 1) issue('unable to install additional packages when upgrading all installed packages', 'name');
  if (wanted.state === 'build-dep' && !wanted.name?.length) issue('state: build-dep needs packages', 'name');
  if (wanted.deb !== undefined && wanted.state !== 'present') issue('deb only supports state=present', 'deb');
  const other = wanted.deb ?? (wanted.update_cache || wanted.cache_valid_time || wanted.upgrade !== 'no' || wanted.autoremove || wanted.autoclean || wanted.clean || wanted.state === 'fixed');
  if (wanted.name === undefined && !other) issue('give packages, or something else to do (update_cache, upgrade, deb, autoremove, …)', 'name');
}

/** The name that stands for all packages: with `state: latest` they are upgraded, else it means nothing. */
export const ALL = '*';

export const specsOf = ({ name }: Wanted): Spec[] => (name ?? []).filter((each) => each !== ALL).map(parseSpec);
export const updates = (wanted: Wanted): boolean => wanted.update_cache === true || wanted.cache_valid_time > 0;
export const upgradeVerb = (wanted: Wanted): string => (['full', 'dist'].includes(wanted.upgrade) ? 'dist-upgrade' : 'upgrade --with-new-pkgs');
