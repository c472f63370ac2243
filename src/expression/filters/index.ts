import type { Table } from '../registry.js';
import type { Result } from '../undefined.js';
import { BASIC } from './basic.js';
import { COMMUNITY } from './community.js';
import { DATA } from './data.js';
import { DICTS } from './dicts.js';
import { ENCODING } from './encode.js';
import { GTIDS } from './gtid.js';
import { HASHES } from './hashes.js';
import { IPS } from './ip.js';
import { LISTS } from './lists.js';
import { MATHS } from './math.js';
import { PATHS } from './paths.js';
import { REGEXES } from './regexes.js';
import { STRINGS } from './strings.js';
import { TIMES } from './times.js';

/** Every filter by name. */
export const FILTERS: Table<Result> = new Map([...BASIC, ...STRINGS, ...LISTS, ...DICTS, ...MATHS, ...REGEXES, ...ENCODING, ...HASHES, ...GTIDS, ...PATHS, ...TIMES, ...IPS, ...COMMUNITY, ...DATA]);
