/**
 * What the project's own modules and filters may use of Muster: `import { defineModule, sh } from 'muster'`. This file is the
 * whole of it, and what stands here stays.
 */
export { z } from 'zod';
export { defineCommand, defineModule, defineSession, ModuleError } from '../modules/module.js';
export type { Back, Change, Channel, Controller, Output, Returns, Step, Touched } from '../modules/module.js';
export { any, bool, choice, dict, float, int, list, mode, params, path, secret, str } from '../modules/params.js';
export { bytes, join, quote, raw, Sh, sh } from '../shell/sh.js';
export type { FilterPlugin, LookupPlugin, LookupServices, TestPlugin } from './filters.js';
