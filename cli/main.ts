#!/usr/bin/env node
import { version } from './version.js';

/**
 * The command `muster`. What it loads is `muster.ts` with all it needs in one file (`npm run build` makes it), since
 * finding and compiling some three hundred modules takes Node longer than most runs take to work.
 */
const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === '--version') console.log(version());
else {
  // Coverage counts modules as they were written.
  const { start } = process.env['NODE_V8_COVERAGE'] ? await import('./muster.js') : (await import('./bundle.js')).load(argv);
  await start(argv);
}
