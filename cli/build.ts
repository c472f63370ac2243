import { readFile, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * `npm run build`, behind the compiler: `muster.js` and all that it imports in one file, `muster.cjs`, which `bundle.ts`
 * loads as a function of what modules are given. Nothing is shortened: a stack trace names what it means. All of it is ASCII
 * (what esbuild leaves in expressions and comments is escaped here), since one other character makes V8 hold all of it in
 * twice the memory.
 */
const entry = fileURLToPath(new URL('./muster.js', import.meta.url));

const { outputFiles } = await build({
  write: false,
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
  banner: { js: '(function (exports, require, module, __filename, __dirname, bundleUrl) {' },
  footer: { js: '})' },
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

for (const { path, text } of outputFiles) await writeFile(path, text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`));
