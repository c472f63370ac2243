export { ansibleCore, usePlaces, type Places } from './places.js';
export { collectionOf, findCollection, splitName } from './collections.js';
export { findModule, type Beside, type Found } from './modules.js';
export { loadPlugins } from './filters.js';
