/** Variables: Ansible's precedence, read lazily, each with the place it was written. */
export { factName, LEVELS, merge, originOfFound, valueOf, type Level } from './layers.js';
export type { Context, VariableScope } from './scope.js';
export { Variables, type Explained } from './variables.js';
export { Reads } from './reads.js';
