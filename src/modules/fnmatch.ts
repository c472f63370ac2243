/** Shell patterns as Python's fnmatch has them: `*`, `?`, `[…]`, `[!…]`; no sign is escaped, a dot at the start is like any other. */
export function fnmatch(pattern: string): RegExp {
  const source = pattern.replace(/\[(!?)(\]?[^\]]*)\]|[*?]|[^]/gu, (whole, not: string | undefined, set: string | undefined) => {
    if (set) return `[${not ? '^' : ''}${set.replace(/[\\\][^]/g, '\\$&')}]`;
    return whole === '*' ? '.*' : whole === '?' ? '.' : whole.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
  return new RegExp(`^(?:${source})$`, 'su');
}
