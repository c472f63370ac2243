/**
 * Text without what stands at its end. A regular expression (`/\/+$/`) begins anew at every character of a run that is
 * not the last: on 200 kB from a host or a playbook that takes minutes.
 * @param characters each of them falls off, in any order
 */
export function trimmedEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** A path without the slashes at its end; `/` stays, whatever follows it. */
export function withoutEndSlashes(path: string): string {
  return path.slice(0, 1) + trimmedEnd(path.slice(1), '/');
}
