import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import { ContentError } from '../value/errors.js';

const loaded = new Map<string, Promise<{ [name: string]: unknown }>>();

/**
 * What a JavaScript or TypeScript file of the project exports. Types are taken off, files it imports are taken in, packages come
 * from the `node_modules` around it, and `muster` is `api.ts` as this process runs it.
 * @throws ContentError where it cannot be read or run, with its line
 */
export function loadScript(path: string): Promise<{ [name: string]: unknown }> {
  let exported = loaded.get(path);
  if (!exported) loaded.set(path, (exported = load(path)));
  return exported;
}

async function load(path: string): Promise<{ [name: string]: unknown }> {
  // Loaded only here, as most projects have no such files, and not taken into the bundle: it runs a program beside itself.
  const { build } = createRequire(import.meta.url)('esbuild') as typeof import('esbuild');
  let text: string;
  try {
    const { outputFiles } = await build({
      entryPoints: [path], bundle: true, write: false, platform: 'node', target: 'node20', format: 'cjs', packages: 'external', logLevel: 'silent', charset: 'utf8',
    });
    text = outputFiles[0]!.text;
  } catch (error) {
    const [first] = (error as { errors?: { text: string; location: { file: string; line: number; column: number } | null }[] }).errors ?? [];
    if (!first) throw error;
    const { location } = first;
    throw new ContentError(first.text, location ? { file: location.file, line: location.line, column: location.column + 1 } : { file: path, line: 1, column: 1 });
  }
  const api = await import('./api.js');
  const outside = createRequire(path);
  const module: { exports: { [name: string]: unknown } } = { exports: {} };
  try {
    const run = new Script(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, { filename: path }).runInThisContext() as (...args: unknown[]) => void;
    run(module.exports, (name: string): unknown => (name === 'muster' ? api : outside(name)), module, path);
  } catch (error) {
    throw new ContentError(`${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, { file: path, line: 1, column: 1 });
  }
  return module.exports;
}
