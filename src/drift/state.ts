import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { z } from 'zod';
import { ContentError } from '../value/errors.js';

/** Which drift: these playbooks on this inventory, and how much of both. */
export interface Subject {
  playbooks: readonly string[];
  inventory: readonly string[];
  /** What narrows or alters it, in a fixed order, as it may be shown: limit, tags, names of extra variables. None: all of it. */
  view: readonly string[];
  /** The extra variables themselves, which may hold secrets. */
  extra: readonly string[];
}

const finding = z.object({
  host: z.string(),
  task: z.string(),
  item: z.string().optional(),
  field: z.string(),
  fingerprint: z.string(),
  nth: z.number(),
  change: z.string(),
  delegate: z.string().optional(),
  since: z.string(),
});

/** What one look leaves for the next. */
const schema = z.object({
  findings: z.array(finding),
  mended: z.array(z.object({ host: z.string(), task: z.string(), item: z.string().optional(), field: z.string(), times: z.number(), first: z.string(), last: z.string() })),
  unreachable: z.array(z.string()),
  failed: z.array(z.string()),
  /** The last run, as it ended. Moments are ISO 8601; `corrected`: tasks by host. */
  last: z.object({ at: z.string(), seconds: z.number(), exit: z.number(), hosts: z.array(z.string()), corrected: z.record(z.string(), z.number()) }).optional(),
  /** When a run last could look at everything, and no guard held it. */
  success: z.string().optional(),
  /** What the command of `--on-change` was last told; `unsaid`: corrections it could not be told of. */
  told: z.object({ at: z.string(), findings: z.array(finding), trouble: z.array(z.string()), unsaid: z.array(finding) }).optional(),
});
export type State = z.output<typeof schema>;

const disabledSchema = z.object({ by: z.string(), at: z.string(), reason: z.string() });
/** Who switched it off, when and why. */
export type Disabled = z.output<typeof disabledSchema>;

/** The name of a subject, for files and units: `site-1f3870be`, and of a view of it `site-1f3870be-5c2dd944`. */
export function nameOf({ playbooks, inventory, view }: Pick<Subject, 'playbooks' | 'inventory' | 'view'>): string {
  const [first = ''] = playbooks;
  const slug = basename(first, extname(first)).replace(/[^A-Za-z0-9_]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40) || 'playbook';
  return [slug, hash([...playbooks.map(real), '', ...inventory.map(real)]), ...(view.length > 0 ? [hash(view)] : [])].join('-');
}

/** What drift remembers of a subject: files of a folder that their owner alone may read. */
export class Memory {
  readonly #state: string;
  readonly #disabled: string;

  constructor(
    private readonly folder: string,
    subject: Subject,
  ) {
    // Nobody else sees this folder: the name may hang on what is secret.
    this.#state = join(folder, `${nameOf(subject)}${subject.extra.length > 0 ? `-${hash(subject.extra)}` : ''}.json`);
    this.#disabled = join(folder, `${nameOf({ ...subject, view: [] })}.disabled.json`);
  }

  /**
   * What the last look left; nothing where there was none, or where it cannot be read (then all that is found is new).
   * @param damaged told why it cannot be read
   */
  read(damaged: (why: string) => void): State {
    return readJson(this.#state, schema, damaged) ?? { findings: [], mended: [], unreachable: [], failed: [] };
  }

  /** Replaced as a whole. @throws ContentError where the folder may not be written to */
  write(state: State): void {
    this.#put(this.#state, state);
  }

  /** @throws ContentError where nothing could be kept; so that it is known before any host is touched */
  prepare(): void {
    this.#guarded(() => {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      const probe = join(this.folder, `.probe.${process.pid}`);
      writeFileSync(probe, '', { mode: 0o600 });
      rmSync(probe);
    });
  }

  /** Who switched it off. @throws ContentError where that cannot be read: nobody may want a correction then */
  disabled(): Disabled | undefined {
    return readJson(this.#disabled, disabledSchema, (why) => {
      throw new ContentError(`whether drift is disabled cannot be told: ${why}`, undefined, 'muster drift PLAYBOOK --enable removes the file');
    });
  }

  disable(how: Disabled): void {
    // Root may do it by sudo, and the user that drift runs as must be able to tell.
    this.#put(this.#disabled, how, 0o644);
  }

  /** @returns whether it was disabled */
  enable(): boolean {
    const was = existsSync(this.#disabled);
    this.#guarded(() => rmSync(this.#disabled, { force: true }));
    return was;
  }

  #put(file: string, data: unknown, mode = 0o600): void {
    this.#guarded(() => {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      writeAtomically(file, `${JSON.stringify(data)}\n`, mode);
    });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new ContentError(`what drift finds cannot be kept: ${(error as Error).message}`, undefined, 'set "drift: {state: FOLDER}" in muster.yml to a folder you may write to');
    }
  }
}

/** Whoever reads the file sees the old text or the new one, never a part. */
export function writeAtomically(file: string, text: string, mode: number): void {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`);
  try {
    rmSync(temporary, { force: true });
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    // Whatever the umask says.
    chmodSync(temporary, mode);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function readJson<T>(file: string, shape: z.ZodType<T>, damaged: (why: string) => void): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') damaged(`${file}: ${(error as Error).message}`);
    return undefined;
  }
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    damaged(`${file} is damaged`);
    return undefined;
  }
}

function hash(words: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 8);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
