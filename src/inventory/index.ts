/** Hosts and groups: reading them, asking for them by pattern, changing them while a play runs. */
export type { Group, Host, Inventory } from './types.js';
export { expandHost } from './ranges.js';
export { filesIn, formOf, loadInventory, readAlone } from './load.js';
export { useReading, type Reading } from './reading.js';
export { readVarsFile, VarsFolder } from './vars-folder.js';
export { matchHosts, splitPattern, type Matched, type Unmatched } from './patterns.js';
export { addHost, addToGroup, copyInventory, emptyInventory, groupsOf, hostsOf, replaceInventory } from './graph.js';
