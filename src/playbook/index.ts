/**
 * From YAML to typed plays and tasks, with roles and imports; static checks. This file is the room's whole face.
 */
export { actionName, actionNames, loadSpec } from './actions.js';
export { durationOf, durationProblem, isHarmless, unconfirmable } from './confirm.js';
export { hasManagerDefaults, managerDefaults } from './defaults.js';
export { checkEntries, checkProject } from './check.js';
export { display, findTaskFile, readYaml, searchPath, type LoadContext, type Place } from './context.js';
export { notifiedBy } from './handler-names.js';
export { includePoint, type Brought, type IncludePoint, type RoleOptions } from './bring.js';
export { loadNamedTask, loadRole, loadTaskFile } from './include.js';
export { loadPlaybook, loadPlaybookText, ORDERS } from './plays.js';
export { raise, renderProblem, sorted, warning, type Problem } from './problems.js';
export { embedded } from './embedded.js';
export { splitTags } from './inherit.js';
export { selected } from './tags.js';
export type * from './types.js';
