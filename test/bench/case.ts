/** One thing that is measured: `npm run bench NAME`. */
export interface Case {
  name: string;
  title: string;
  /** What is compared with what, and how; for whoever reads the figures. */
  about: string;
  run(say: (line: string) => void): Promise<Figures>;
}

/** What a case found. */
export interface Figures {
  /** The first row is the head. */
  rows: string[][];
  goals: Goal[];
  /** What could not be measured, and why; what a figure needs to be understood. */
  notes?: string[];
  /** An SVG that goes beside the page, with a line on what it shows. */
  picture?: { svg: string; shows: string };
}

export interface Goal {
  /** Such as `Muster / floor`. */
  what: string;
  got: number;
  atMost?: number;
  atLeast?: number;
  unit?: string;
}

export function met({ got, atMost = Infinity, atLeast = -Infinity }: Goal): boolean {
  return got <= atMost && got >= atLeast;
}

/** Three digits that count. */
export function short(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

export function seconds(value: number): string {
  return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
