const UNITS: { [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of `90s`, `15m`, `24h` or `7d`; undefined for what is no such duration, or none at all. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text.trim()) ?? [];
  const seconds = Number(number) * (UNITS[unit ?? ''] ?? NaN);
  return seconds > 0 ? seconds : undefined;
}
