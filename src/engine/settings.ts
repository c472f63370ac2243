import { toValue, type Value } from '../value/value.js';
import type { RunOptions } from './options.js';

/** Settings by the names that Ansible's configuration has for them (docs.ansible.com, "Ansible Configuration Settings"): those that mean something here. */
const SETTINGS: { [name: string]: (options: RunOptions) => unknown } = {
  DEFAULT_FORKS: ({ forks }) => forks,
  DEFAULT_VERBOSITY: ({ verbosity }) => verbosity,
  DEFAULT_ROLES_PATH: ({ rolesPath }) => rolesPath,
  DEFAULT_REMOTE_USER: ({ defaults }) => defaults.remoteUser,
  DEFAULT_REMOTE_PORT: ({ defaults }) => defaults.port,
  DEFAULT_PRIVATE_KEY_FILE: ({ defaults }) => defaults.privateKeyFile,
  DEFAULT_TIMEOUT: ({ defaults }) => defaults.connectTimeout,
  DEFAULT_TRANSPORT: ({ defaults }) => defaults.connection ?? 'ssh',
  HOST_KEY_CHECKING: ({ defaults }) => defaults.hostKeyChecking !== 'off',
  DEFAULT_BECOME: ({ defaults }) => defaults.become,
  DEFAULT_BECOME_USER: ({ defaults }) => defaults.becomeUser ?? 'root',
  DEFAULT_BECOME_METHOD: ({ defaults }) => defaults.becomeMethod ?? 'sudo',
  DEFAULT_BECOME_FLAGS: ({ defaults }) => defaults.becomeFlags,
  DEFAULT_GATHERING: ({ playDefaults }) => (playDefaults?.gatherFacts === false ? 'explicit' : 'implicit'),
  DEFAULT_STRATEGY: ({ playDefaults }) => playDefaults?.strategy ?? 'linear',
  DEFAULT_FORCE_HANDLERS: ({ forceHandlers }) => forceHandlers,
  ANY_ERRORS_FATAL: ({ playDefaults }) => playDefaults?.anyErrorsFatal === true,
  DEFAULT_NO_LOG: ({ playDefaults }) => playDefaults?.noLog === true,
  DEFAULT_PRIVATE_ROLE_VARS: ({ playDefaults }) => playDefaults?.publicRoles === false,
  DEFAULT_HASH_BEHAVIOUR: () => 'replace',
  DIFF_ALWAYS: ({ diff }) => diff,
  TAGS_RUN: ({ tags }) => tags,
  TAGS_SKIP: ({ skipTags }) => skipTags,
};

/** What a setting of Ansible's is in this run, null where nothing is set; undefined for one that means nothing here. */
export function settingOf(options: RunOptions, name: string): Value | undefined {
  return Object.hasOwn(SETTINGS, name) ? toValue(SETTINGS[name]!(options)) : undefined;
}
