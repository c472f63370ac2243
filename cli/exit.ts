/** Exit codes, the same for every verb. */
export const EXIT = {
  /** Done, nothing left to do. */
  done: 0,
  /** Usage or content error, found before any host was touched; or a fault of Muster's own. */
  usage: 1,
  /** Changes are pending (`plan`, `drift` without `--fix`). */
  pending: 2,
  /** A task failed on at least one host, or content proved wrong after first contact. */
  failed: 3,
  unreachable: 4,
  /** Another run holds the lock. */
  locked: 5,
  /** A guard stopped the run. */
  guarded: 6,
  interrupted: 130,
} as const;

const FIRST_WINS = [130, 5, 1, 6, 3, 4, 2, 0];

/** The code that counts where several hold. */
export function worst(codes: readonly number[]): number {
  return FIRST_WINS.find((code) => codes.includes(code)) ?? codes.find((code) => code !== 0) ?? EXIT.done;
}

/** What the user asked for cannot be done as asked; said in one line, exit 1 unless told otherwise. */
export class UsageError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.usage,
  ) {
    super(message);
    this.name = 'UsageError';
  }
}
