/** Libraries that few playbooks need: each is loaded when something first asks for it, as evaluation cannot wait for an import. */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

export const ipAddress = () => load('ip-address') as typeof import('ip-address');
export const jmespath = () => load('jmespath') as typeof import('jmespath');
export const bcrypt = () => load('bcryptjs') as typeof import('bcryptjs');
