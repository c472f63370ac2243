import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { EXIT, UsageError } from './exit.js';

/**
 * Asks on the terminal without echo, as ssh does: /dev/tty, whatever standard input is.
 * @throws UsageError where there is no terminal
 */
export function askSecret(question: string): Promise<string> {
  return ask(question, false);
}

/** The same with what is typed shown. */
export function askText(question: string): Promise<string> {
  return ask(question, true);
}

async function ask(question: string, echo: boolean): Promise<string> {
  let fd: number;
  try {
    fd = openSync('/dev/tty', 'r+');
  } catch {
    throw new UsageError(`muster: cannot ask for the ${question}: there is no terminal`);
  }
  const tty = new ReadStream(fd);
  // Before the question is seen: what is typed in answer to it must not be echoed.
  tty.setRawMode(true);
  writeSync(fd, `${question}: `);
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = '';
      tty.setEncoding('utf8');
      tty.on('data', (piece: string) => {
        for (const character of piece) {
          if (character === '\r' || character === '\n' || character === '\x04') return resolve(typed);
          if (character === '\x03') return reject(new UsageError('', EXIT.interrupted));
          if (character === '\x7f' || character === '\b') typed = [...typed].slice(0, -1).join('');
          else if (character === '\x15') typed = '';
          else typed += character;
          if (echo) writeSync(fd, `\r\x1b[K${question}: ${typed}`);
        }
      });
      tty.on('error', reject);
    });
  } finally {
    tty.setRawMode(false);
    writeSync(fd, '\n');
    tty.destroy();
  }
}

/** Whether anybody can be asked. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch {
    return false;
  }
}

/** Asks on the terminal for a yes; undefined where there is none. */
export function askYes(question: string): boolean | undefined {
  let fd: number;
  try {
    fd = openSync('/dev/tty', 'r+');
  } catch {
    return undefined;
  }
  try {
    writeSync(fd, `${question} [y/N] `);
    const answer = Buffer.alloc(256);
    return /^y(es)?$/i.test(answer.toString('utf8', 0, readSync(fd, answer)).trim());
  } finally {
    closeSync(fd);
  }
}
