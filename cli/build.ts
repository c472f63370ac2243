import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * `npm run build`, behind the compiler: `muster.js` and all that it imports in one file, `muster.cjs`, which `bundle.ts`
 * loads. Nothing is shortened: a stack trace names what it means.
 */
const entry = fileURLToPath(new URL('./muster.js', import.meta.url));

await build({
  entryPoints: [entry],
  outfile: entry.replace(/js$/, 'cjs'),
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // Compiled parts of ssh2, where they could be built; it does without.
  external: ['*.node', 'cpu-features'],
  // What yargs and log-update measure text with builds its tables of emoji at start, 25 ms of each run.
  alias: { 'string-width': 'fast-string-width' },
  logLevel: 'warning',
  plugins: [
    {
      name: 'files that look for others beside themselves',
      setup: ({ onLoad }) =>
        onLoad({ filter: /\.m?js$/ }, async ({ path }) => {
          const text = await readFile(path, 'utf8');
          if (!text.includes('import.meta.url')) return undefined;
          return { contents: text.replaceAll('import.meta.url', `new URL(${JSON.stringify(relative(dirname(entry), path))}, bundleUrl).href`) };
        }),
    },
  ],
});
