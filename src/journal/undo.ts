import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ContentError } from '../value/errors.js';

/** How a task of a run reached its machine, without passwords. */
export interface Reached {
  /** Inventory name of the machine: the host's, or the one it was delegated to. */
  name: string;
  connection: 'ssh' | 'local';
  port: number | undefined;
  user: string | undefined;
  become: { method: string; user: string; flags: string | undefined; exe?: string | undefined } | undefined;
  environment: { [name: string]: string };
}

/** A task that leads back, as it is kept. */
export interface KeptBack {
  module: string;
  args: { [name: string]: unknown };
  /** Name of the old content, kept beside: it is what `src` is to be. */
  old?: string;
  again?: boolean;
  /** What it would change where the run left things as they are to this day; undefined where that could not be told. */
  expected?: { field: string; from: unknown; to: unknown }[];
}

/** How one effect of a run is taken back. */
export interface KeptUndo {
  /** The effect's number in the run, as its event has it. */
  effect: number;
  way: Reached;
  back: KeptBack[];
  /** What has no way back. */
  cannot: string[];
}

const FILE = 'undo';
const OLD = 'old';
const OPEN = 'open';
/** Beside the runs: one for all of them. */
const KEY = 'undo.key';
const IV = 12;
const TAG = 16;

/**
 * What leads back from a run, in the run's folder: tasks, and the old contents of files, which may hold any secret. For
 * the owner alone, as the folder is, and sealed (AES-256-GCM, NIST SP 800-38D), so that a run that is copied somewhere
 * without the key gives nothing away.
 */
export class UndoStore {
  #key: Buffer | undefined;
  #opened = 0;

  constructor(readonly folder: string) {}

  /** @returns its name, to be found again by */
  keepContent(content: Buffer): string {
    const key = this.#theKey(true);
    const name = createHmac('sha256', key).update(content).digest('hex');
    const file = path.join(this.folder, OLD, name);
    if (existsSync(file)) return name;
    this.#write(() => {
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, this.#seal(content), { mode: 0o600 });
    });
    return name;
  }

  contentOf(name: string): Buffer {
    return this.#open(readFileSync(path.join(this.folder, OLD, name)));
  }

  /** A file with this content, for as long as it is read. @returns its path */
  opened(content: Buffer): string {
    const file = path.join(this.folder, OPEN, String(++this.#opened));
    this.#write(() => {
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, content, { mode: 0o600 });
    });
    return file;
  }

  /** Removes what was opened. @param file one of them; all, unless given */
  close(file = path.join(this.folder, OPEN)): void {
    rmSync(file, { recursive: true, force: true });
  }

  keep(undo: KeptUndo): void {
    const line = this.#seal(Buffer.from(JSON.stringify(undo))).toString('base64');
    this.#write(() => appendFileSync(path.join(this.folder, FILE), `${line}\n`, { mode: 0o600 }));
  }

  /** In the order of the run; a line that was cut is passed over. @throws ContentError where the key is not here */
  read(): KeptUndo[] {
    const file = path.join(this.folder, FILE);
    if (!existsSync(file)) return [];
    this.#theKey(false);
    return readFileSync(file, 'latin1').split('\n').flatMap((line) => {
      try {
        return [JSON.parse(this.#open(Buffer.from(line, 'base64')).toString()) as KeptUndo];
      } catch {
        return [];
      }
    });
  }

  #seal(content: Buffer): Buffer {
    const iv = randomBytes(IV);
    const cipher = createCipheriv('aes-256-gcm', this.#theKey(true), iv);
    const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
  }

  #open(sealed: Buffer): Buffer {
    const decipher = createDecipheriv('aes-256-gcm', this.#theKey(false), sealed.subarray(0, IV), { authTagLength: TAG });
    decipher.setAuthTag(sealed.subarray(IV, IV + TAG));
    return Buffer.concat([decipher.update(sealed.subarray(IV + TAG)), decipher.final()]);
  }

  #theKey(make: boolean): Buffer {
    if (this.#key) return this.#key;
    const file = path.join(path.dirname(this.folder), KEY);
    if (make && !existsSync(file)) {
      try {
        writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
      } catch (error) {
        // Another run may have made it meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') this.#write(() => { throw error; });
      }
    }
    if (!existsSync(file)) throw new ContentError(`the key of what leads back is not here: ${file}`);
    const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
    if (key.length !== 32) throw new ContentError(`${file} is no key; where it was spoilt, remove it: what was kept under it is lost`);
    return (this.#key = key);
  }

  /** @throws ContentError when the disk is full, say */
  #write(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new ContentError(`what leads back cannot be kept: ${(error as Error).message} (${this.folder})`);
    }
  }
}
