import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { EXIT } from './exit.js';

const BUNDLE = fileURLToPath(new URL('./muster.cjs', import.meta.url));

/**
 * Loads the program from its bundle. V8's code of it is kept in `$XDG_CACHE_HOME/muster` (XDG Base Directory
 * Specification), a file per verb, written at the end of the first run, so that later ones compile nothing
 * (https://v8.dev/blog/code-caching). V8 itself refuses code of another version of it or under other flags.
 */
export function load(argv: readonly string[]): typeof import('./muster.js') {
  const kept = codeFile(argv[0]);
  const cachedData = read(kept);
  const script = new Script(readFileSync(BUNDLE, 'latin1'), { filename: BUNDLE, ...(cachedData ? { cachedData } : {}) });
  if (kept && (!cachedData || script.cachedDataRejected)) {
    process.on('exit', (code) => {
      // A run that ended at its command line has compiled next to nothing.
      if (code !== EXIT.usage) keep(kept, script);
    });
  }
  const module: { exports: unknown } = { exports: {} };
  (script.runInThisContext() as (...args: unknown[]) => void)(module.exports, requireFrom(BUNDLE), module, BUNDLE, dirname(BUNDLE), pathToFileURL(BUNDLE).href);
  return module.exports as typeof import('./muster.js');
}

/** `require` as the bundle knows it: the compiled part of ssh2, where it could be built, stays in ssh2's folder. */
function requireFrom(file: string): NodeJS.Require {
  const require = createRequire(file);
  return Object.assign((id: string) => require(id.endsWith('/sshcrypto.node') ? 'ssh2/lib/protocol/crypto/build/Release/sshcrypto.node' : id) as unknown, require);
}

/** Named after the bundle it was compiled from: V8 looks at no more of the source than its length. */
function codeFile(verb: string | undefined): string | undefined {
  if (!/^[a-z]+$/.test(verb ?? '')) return undefined;
  const { size, mtimeMs } = statSync(BUNDLE);
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'muster', `${verb}.${size.toString(36)}-${Math.round(mtimeMs).toString(36)}`);
}

/** Only what the user wrote himself, and nobody else may: it is run. */
function read(file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    for (const path of [dirname(file), file]) {
      const { uid, mode } = statSync(path);
      if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined;
    }
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** In place of the code of an older bundle. A folder that cannot be written is no reason to fail. */
function keep(file: string, script: Script): void {
  try {
    const folder = dirname(file);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const mine = `${file}.${process.pid}`;
    writeFileSync(mine, script.createCachedData(), { mode: 0o600 });
    renameSync(mine, file);
    const verb = /^.*?\./.exec(file.slice(folder.length + 1))![0];
    for (const name of readdirSync(folder)) if (name.startsWith(verb) && join(folder, name) !== file) rmSync(join(folder, name), { force: true });
  } catch {
    // The next run compiles again.
  }
}
