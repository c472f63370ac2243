export { install, type Installed, type Where } from './install.js';
export { readRequirements, type Requirement } from './requirements.js';
