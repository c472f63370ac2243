import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { takeLock } from '../../cli/lock.js';

test('a lock is held once, names its holder, and can be taken again', async (t) => {
  const release = await takeLock(['lock-a.yml'], ['hosts']);
  const error = await t.throwsAsync(takeLock(['lock-a.yml'], ['hosts']), { message: new RegExp(`another run holds the lock of lock-a\\.yml: process ${process.pid}, since `) });
  t.is((error as unknown as { exitCode: number }).exitCode, 5);
  const other = await takeLock(['lock-a.yml'], ['other hosts']);
  other();
  release();
  (await takeLock(['lock-a.yml'], ['hosts']))();
});

test('the kernel lets go of the lock of a killed process', async (t) => {
  const lock = pathToFileURL(join(process.cwd(), 'dist', 'cli', 'lock.js')).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', `const { takeLock } = await import('${lock}'); await takeLock(['lock-b.yml'], []); console.log('held'); setInterval(() => {}, 1000);`], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  await t.throwsAsync(takeLock(['lock-b.yml'], []), { message: new RegExp(`process ${child.pid}`) });
  child.kill('SIGKILL');
  await once(child, 'close');
  (await takeLock(['lock-b.yml'], []))();
  t.pass();
});
