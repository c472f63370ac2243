/** What differs, as it is shown, journalled and registered: without what is secret. */
import type { Change, Declarative, Output, Returns, TextDiff } from '../modules/module.js';
import type { Difference } from '../report/events.js';
import { unifiedDiff } from '../report/diff.js';
import type { Rendered } from '../value/value.js';
import type { Job } from './perform.js';

export interface Shown {
  /** A change each. */
  differences: Difference[];
  /** Where diffs are wanted: the texts that change, as `register` sees them. */
  texts: TextDiff[];
}

/** Changes as they are shown. @param before reads the present text of one */
export async function shown(job: Job, changes: readonly Change[], before: (change: Change) => Promise<Output | undefined>): Promise<Shown> {
  const differences: Difference[] = [];
  const texts: TextDiff[] = [];
  for (const change of changes) {
    const secret = change.secret === true || job.secretFields.has(change.field);
    let diff: string | undefined;
    if (change.text && job.diff) {
      const { path, source, after } = change.text;
      const old = isNew(change) ? undefined : await before(change);
      const was = old === undefined || old.rc !== 0 ? '' : old.stdout;
      const secrets = secretRanges(after ?? '', job.secrets);
      diff = unifiedDiff(was, after ?? '', path, secrets);
      const hides = secret || job.controller.hides || secrets.length > 0 || holdsText(was, job.secrets);
      texts.push({
        ...(isNew(change) ? {} : { before_header: path }),
        before: hides ? '' : was,
        after_header: source ?? path,
        after: hides ? HIDDEN_TEXT : (after ?? ''),
      });
    }
    const hidden = secret || holdsText(change.from, job.secrets) || holdsText(change.to, job.secrets);
    differences.push({ field: change.field, from: hidden ? undefined : change.from, to: hidden ? undefined : change.to, diff, secret: hidden });
  }
  return { differences, texts };
}

/** What stands in the place of a text that holds a secret, or of a task with `no_log`. */
const HIDDEN_TEXT = ' [[ Diff output has been hidden because it holds a secret, or because of no_log ]]\n';

const isNew = ({ from }: Change): boolean => from === null || from === undefined;

/** A module's result with what differs: its own account of that, else the texts that change. */
export function returned(module: Declarative<any, any, any>, wanted: unknown, observed: unknown, { differences, texts }: Shown, returns: Returns): Returns {
  const diff = module.diff ? module.diff(wanted, observed, differences, texts) : texts.length > 0 ? texts : undefined;
  return diff === undefined ? returns : { ...returns, diff };
}

/** Diffs for the journal, where the old text came along with the effect: the one text of a task that has one. */
export function withDiffs(job: Job, differences: Difference[], changes: readonly Change[], old: readonly (Buffer | undefined)[]): void {
  const texts = changes.flatMap((change, i) => (change.text ? [{ text: change.text, i }] : []));
  if (texts.length !== 1) return;
  const { text, i } = texts[0]!;
  const before = isNew(changes[i]!) ? '' : old[0]?.toString();
  if (before === undefined) return;
  const after = text.after ?? '';
  differences[i] = { ...differences[i]!, diff: unifiedDiff(before, after, text.path, secretRanges(after, job.secrets)) };
}

/** Ansible's `diff` of a result that a module of others gave: before and after, of one thing or of several. */
export function differencesOf(diff: unknown, job: Job): Difference[] {
  return (Array.isArray(diff) ? diff : [diff]).flatMap((each: unknown) => {
    if (typeof each !== 'object' || each === null || !('before' in each || 'prepared' in each)) return [];
    const { before, after, prepared, before_header, after_header } = each as { [part: string]: unknown };
    const text = (value: unknown) => (typeof value === 'string' ? value : value === undefined || value === null ? '' : `${JSON.stringify(value, undefined, 4)}\n`);
    const [from, to] = [text(before), text(after)];
    const title = [after_header, before_header].find((header) => typeof header === 'string' && header !== '') as string | undefined;
    const told = typeof prepared === 'string' ? prepared : unifiedDiff(from, to, title ?? job.module.name, secretRanges(to, job.secrets));
    return told === '' || holdsText(told, job.secrets) ? [] : [{ field: title ?? 'state', from: undefined, to: undefined, diff: told, secret: false }];
  });
}

function holdsText(value: unknown, secrets: readonly string[]): boolean {
  if (secrets.length === 0 || value === undefined || value === null) return false;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return secrets.some((secret) => text.includes(secret));
}

/** Where secrets stand in a text that was made with them. */
function secretRanges(text: string, secrets: readonly string[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const secret of secrets)
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + secret.length)) ranges.push([at, at + secret.length]);
  return ranges;
}

/** The secret pieces of a rendered template, so that a diff hides them. */
export function secretPieces(rendered: Rendered): string[] {
  return rendered.secrets.map(([start, end]) => rendered.text.slice(start, end)).filter((piece) => piece !== '');
}
