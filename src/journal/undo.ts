import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ContentError } from '../value/errors.js';

/** How a task of a run reached its machine, without passwords. */
export interface Reached {
  /** Inventory name of the machine: the host's, or the one it was delegated to. */
  name: string;
  connection: 'ssh' | 'local';
  port: number | undefined;
  user: string | undefined;
  become: { method: string; user: string; flags: string | undefined } | undefined;
  environment: { [name: string]: string };
}

/** A task that leads back, as it is kept. */
export interface KeptBack {
  module: string;
  args: { [name: string]: unknown };
  /** SHA-256 of the old content, kept beside: it is what `src` names. */
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

const FILE = 'undo.ndjson';
const OLD = 'old';

/**
 * What leads back from a run, in the run's folder: tasks, and the old contents of files as they were, secrets included.
 * For the owner alone, as the folder is.
 */
export class UndoStore {
  constructor(readonly folder: string) {}

  /** @returns its name, to be found again by */
  keepContent(content: Buffer): string {
    const name = createHash('sha256').update(content).digest('hex');
    const file = this.contentFile(name);
    if (existsSync(file)) return name;
    this.#write(() => {
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, content, { mode: 0o600 });
    });
    return name;
  }

  contentFile(name: string): string {
    return path.join(this.folder, OLD, name);
  }

  keep(undo: KeptUndo): void {
    this.#write(() => appendFileSync(path.join(this.folder, FILE), `${JSON.stringify(undo)}\n`, { mode: 0o600 }));
  }

  /** @throws ContentError when the disk is full, say */
  #write(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new ContentError(`what leads back cannot be kept: ${(error as Error).message} (${this.folder})`);
    }
  }

  /** In the order of the run; a line that was cut is passed over. */
  read(): KeptUndo[] {
    const file = path.join(this.folder, FILE);
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8').split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as KeptUndo];
      } catch {
        return [];
      }
    });
  }
}
