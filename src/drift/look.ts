import { createHash } from 'node:crypto';
import { brief } from '../report/changes.js';
import type { Difference, Event, Finding, Status, TaskResult } from '../report/events.js';
import { age, minute } from '../report/style.js';

/** What makes a finding the same one in the next look. */
type Identity = Pick<Finding, 'host' | 'task' | 'item' | 'field' | 'fingerprint' | 'nth'>;
/** A finding as it is kept from one look to the next. */
export type Kept = Omit<Finding, 'state' | 'times'>;
/** A field that was put right, and how often; forgotten a week after the last time. Moments are ISO 8601. */
export interface Mended extends Place {
  times: number;
  first: string;
  last: string;
}
type Place = Pick<Finding, 'host' | 'task' | 'item' | 'field'>;
type ResultEvent = Extract<Event, { event: 'result' }>;
type ItemEvent = Extract<Event, { event: 'item' }>;

const WEEK = 7 * 86_400_000;
/** Results that say whether a host is as described. */
const CONCLUSIVE = new Set<Status>(['ok', 'changed', 'skipped']);

/** One look of `drift` at the hosts, made of the events of its run. Handlers count as changes, but are no findings: they follow from one. */
export class Look {
  /** Tasks (and handlers) that would change something, each host for itself. */
  changes = 0;
  /** Tasks of which only a real run could tell what they would do. */
  unknown = 0;
  /** The hosts that would change: with a delegated task the one it is delegated to. */
  readonly machines = new Set<string>();
  /** The hosts of the plays that were reached. */
  readonly hosts = new Set<string>();
  readonly unreachable = new Set<string>();
  readonly failed = new Set<string>();
  /** The run's id, by which the journal knows it. */
  run = '';
  seconds = 0;
  readonly #before: Map<string, Kept>;
  readonly #mended: Map<string, Mended>;
  readonly #found = new Map<string, Finding>();
  readonly #items = new Map<string, ItemEvent[]>();
  readonly #handlers = new Set<string>();
  readonly #findings = new WeakMap<ResultEvent, Finding[]>();
  /** Host and task of what was found before -> whether all its results are conclusive; undefined where there is none yet. */
  readonly #seen: Map<string, boolean | undefined>;

  /**
   * @param before what the looks before left
   * @param now milliseconds
   * @param fixing what is found is put right at once
   */
  constructor(
    before: { findings: readonly Kept[]; mended: readonly Mended[] },
    private readonly now: number,
    private readonly fixing: boolean,
  ) {
    this.#before = new Map(before.findings.map((kept) => [keyOf(kept), kept]));
    this.#seen = new Map(before.findings.map(({ host, task }) => [`${host}\0${task}`, undefined]));
    this.#mended = new Map(before.mended.filter(({ last }) => now - Date.parse(last) < WEEK).map((mended) => [placeOf(mended), mended]));
  }

  note(event: Event): void {
    if (event.event === 'run') this.run = event.run;
    else if (event.event === 'play') for (const host of event.hosts) this.hosts.add(host);
    else if (event.event === 'task' && event.handler) this.#handlers.add(event.id);
    else if (event.event === 'recap') this.seconds = event.seconds;
    else if (event.event === 'item') {
      const key = `${event.host}\0${event.id}`;
      const items = this.#items.get(key);
      if (items) items.push(event);
      else this.#items.set(key, [event]);
    } else if (event.event === 'result') this.#result(event);
  }

  /** What a person reads of a result's age: `new`, `since 2026-11-26 07:00, 3 h`; '' where there is nothing to say. */
  remark = (result: ResultEvent): string => {
    const findings = this.#findings.get(result) ?? [];
    const again = findings.reduce<Finding | undefined>((most, each) => ((each.times ?? 1) > (most?.times ?? 1) ? each : most), undefined);
    if (again) return `for the ${ordinal(again.times!)} time since ${minute(this.#mended.get(placeOf(again))!.first)}`;
    const old = findings.filter((finding) => this.#before.has(keyOf(finding))).map(({ since }) => since);
    if (old.length === 0) return findings.length === 0 || this.fixing ? '' : 'new';
    const first = old.reduce((a, b) => (a < b ? a : b));
    return `${this.fixing ? 'drifted ' : ''}since ${minute(first)}, ${age(first, this.now)}${old.length < findings.length && !this.fixing ? '; in part new' : ''}`;
  };

  /** All that was found, and what has become of what had been found before. */
  findings(): Finding[] {
    const places = new Set([...this.#found.values()].map(placeOf));
    const troubled = this.unreachable.size + this.failed.size > 0;
    const earlier: Finding[] = [];
    for (const [key, kept] of this.#before) {
      // What differs in another way now is a new finding; nobody has put the old one right.
      if (this.#found.has(key) || places.has(placeOf(kept))) continue;
      const seen = this.#seen.get(`${kept.host}\0${kept.task}`);
      if (seen === false || (seen === undefined && troubled)) earlier.push({ ...kept, state: 'unseen' });
      // A host that is in no play any more is no matter of ours.
      else if (seen || this.hosts.has(kept.host)) earlier.push({ ...kept, state: 'resolved' });
    }
    return [...this.#found.values(), ...earlier];
  }

  /** What has been put right within a week, this run included. */
  mended(): Mended[] {
    const all = new Map(this.#mended);
    for (const { host, task, item, field, state } of this.#found.values()) {
      if (state !== 'corrected') continue;
      const place = { host, task, item, field };
      const before = this.#mended.get(placeOf(place));
      all.set(placeOf(place), { ...place, times: (before?.times ?? 0) + 1, first: before?.first ?? this.#stamp(), last: this.#stamp() });
    }
    return [...all.values()];
  }

  #result(event: ResultEvent): void {
    const { host, id, task, delegate, result } = event;
    const items = this.#items.get(`${host}\0${id}`) ?? [];
    this.#items.delete(`${host}\0${id}`);
    const seen = `${host}\0${task}`;
    if (this.#seen.has(seen)) this.#seen.set(seen, (this.#seen.get(seen) ?? true) && CONCLUSIVE.has(result.status));
    if (result.status === 'unknown') this.unknown++;
    if (result.status === 'unreachable') this.unreachable.add(host);
    if (result.status === 'failed') this.failed.add(host);
    const drifted = items.length > 0 ? items.filter((item) => item.result.status === 'changed') : result.status === 'changed' ? [undefined] : [];
    if (result.status === 'changed') {
      this.changes++;
      this.machines.add(delegate ?? host);
    }
    if (this.#handlers.has(id)) return;
    const findings = drifted.flatMap((item) => differences(item?.result ?? result).map((change) => this.#add({ host, task, item: item?.label, delegate }, change)));
    if (findings.length > 0) this.#findings.set(event, findings);
  }

  #add(where: Pick<Finding, 'host' | 'task' | 'item' | 'delegate'>, change: Difference | undefined): Finding {
    const identity = { ...where, field: change?.field ?? 'effect', fingerprint: fingerprint(change), nth: 1 };
    while (this.#found.has(keyOf(identity))) identity.nth++;
    const before = this.#before.get(keyOf(identity));
    const state = this.fixing ? 'corrected' : before ? 'persisting' : 'new';
    const finding: Finding = { ...identity, change: change ? brief(change) : 'effect', state, since: before?.since ?? this.#stamp() };
    if (this.fixing) finding.times = (this.#mended.get(placeOf(identity))?.times ?? 0) + 1;
    this.#found.set(keyOf(identity), finding);
    return finding;
  }

  #stamp(): string {
    return stamp(this.now);
  }
}

/** A moment as it is kept: ISO 8601, UTC, to the second. */
export function stamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+/, '');
}

/** What is to be remembered for the next look. */
export function kept(findings: readonly Finding[]): Kept[] {
  return findings.filter(({ state }) => state !== 'resolved' && state !== 'corrected').map(keptOf);
}

/** What is kept of one finding. */
export function keptOf({ state: _, times: __, ...finding }: Finding): Kept {
  return finding;
}

function differences(result: TaskResult): (Difference | undefined)[] {
  return result.changes.length > 0 ? result.changes : [undefined];
}

export function keyOf({ host, task, item, field, fingerprint: print, nth }: Identity): string {
  return JSON.stringify([host, task, item ?? null, field, print, nth]);
}

function placeOf({ host, task, item, field }: Place): string {
  return JSON.stringify([host, task, item ?? null, field]);
}

/** Of a secret nothing is kept from which it could be guessed: all its changes are one. */
function fingerprint(change: Difference | undefined): string {
  if (change === undefined) return 'effect';
  if (change.secret) return 'secret';
  const text = JSON.stringify([change.from, change.to], (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** `1st`, `2nd`, `3rd`, `4th`, `11th`, `22nd` */
function ordinal(number: number): string {
  const ending = ({ one: 'st', two: 'nd', few: 'rd' } as { [rule: string]: string })[new Intl.PluralRules('en', { type: 'ordinal' }).select(number)] ?? 'th';
  return `${number}${ending}`;
}
