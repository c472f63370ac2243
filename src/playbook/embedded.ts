/**
 * A condition with `{{ }}` in it, which Ansible's releases before 2.19 rendered first and then read as an expression: as one
 * expression, in which what stands in the braces is a value of its own, and in quotes a part of the text. So what it gives
 * is never read as an expression, as it was there.
 * @returns undefined where braces are left open or hold statements; those in quotes that nothing closes are text
 */
export function embedded(text: string): string | undefined {
  const open = text.indexOf('{{');
  if (open < 0 || text.indexOf('}}', open + 2) < 0) return /\{%/.test(text.replace(/'[^']*'|"[^"]*"/g, '')) ? undefined : text;
  let made = '';
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote === '' && text.startsWith('{%', i)) return undefined;
    const end = text.startsWith('{{', i) ? text.indexOf('}}', i) : -1;
    if (end < 0 && quote === '' && text.startsWith('{{', i)) return undefined;
    if (end >= 0) {
      const inside = `(${text.slice(i + 2, end).replace(/^-|-$/g, '').trim()})`;
      made += quote === '' ? inside : `${quote} ~ ${inside} ~ ${quote}`;
      i = end + 1;
    } else if (quote === '') {
      if (char === '"' || char === "'") {
        quote = char;
        made += '(';
      }
      made += char;
    } else {
      made += char;
      if (char === '\\') made += text[++i] ?? '';
      else if (char === quote) {
        quote = '';
        made += ')';
      }
    }
  }
  return quote === '' ? made : undefined;
}
