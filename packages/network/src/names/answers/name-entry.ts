import { ListNode } from '@holdfast/foundation';
import type { AddressSet, AddressesChanged, IpAddress, StaleAddresses } from '../../network.ts';
import type { AddressScores } from '../../addresses/address-scores.ts';
import { orderAddresses } from './address-order.ts';
import { type Combined, type FamilyPart, type FamilyParts, combine } from './combine.ts';
import type { Hostname } from '../hostname.ts';
import type { NameAnswer } from '../resolver.ts';
import type { Question } from './question.ts';

/** RFC 8305, section 3: how long the answer of one family waits for that of the other. */
export const GRACE_MS = 50;
/** A failed question is asked again at most this often while another answer serves. */
export const RETRY_MS = 5_000;

/** How the entries of one resolver make their sets. */
export interface EntryDeps {
  readonly scores: AddressScores;
  readonly firstFamily: () => 4 | 6;
  readonly onChange: (event: AddressesChanged) => void;
}

/** The sets that are given out in turn, as long as nothing changes. */
interface View {
  readonly sets: readonly AddressSet[];
  readonly untilMs: number;
  readonly scoresVersion: number;
  next: number;
}

type KeptPart = Exclude<FamilyPart, { kind: 'failed' }>;

interface Failure {
  readonly cause: unknown;
  readonly atMs: number;
}

/** All that is known of one name. */
export class NameEntry extends ListNode implements Hostname {
  readonly key: string;
  readonly hostname: string;
  candidates: readonly string[];
  /** Uses since the bound was last checked, at most 3: S3-FIFO. */
  uses: number = 0;
  /** Calls since the last answer. */
  asks: number = 0;
  /** The families that were asked for. */
  wanted: 0 | 4 | 6 | undefined;
  /** Answered by the hosts file, or by being `localhost`. */
  isStatic: boolean = false;
  watchers: number = 0;
  /** When the answer is to be renewed. */
  refreshAtMs: number = Infinity;
  readonly questions: { 4: Question | undefined; 6: Question | undefined } = {
    4: undefined,
    6: undefined,
  };
  readonly #deps: EntryDeps;
  readonly #parts: { 4: KeptPart | undefined; 6: KeptPart | undefined } = {
    4: undefined,
    6: undefined,
  };
  readonly #failures: { 4: Failure | undefined; 6: Failure | undefined } = {
    4: undefined,
    6: undefined,
  };
  readonly #views: { 0: View | undefined; 4: View | undefined; 6: View | undefined } = {
    0: undefined,
    4: undefined,
    6: undefined,
  };
  #published: readonly IpAddress[] = [];
  #revision = 0;
  #turn = 0;

  constructor({ key, hostname, candidates }: Hostname, deps: EntryDeps) {
    super();
    this.key = key;
    this.hostname = hostname;
    this.candidates = candidates;
    this.#deps = deps;
  }

  /** The next set, if it is known and nothing has changed. */
  hit(family: 0 | 4 | 6, nowMs: number): AddressSet | undefined {
    const view = this.#views[family];
    if (view === undefined || view.untilMs <= nowMs) return undefined;
    if (view.scoresVersion !== this.#deps.scores.version) return undefined;
    const turn = view.next;
    view.next = turn + 1 === view.sets.length ? 0 : turn + 1;
    this.asks += 1;
    if (this.uses < 3) this.uses += 1;
    return view.sets[turn];
  }

  /** The part of a family that may be used without asking. */
  freshPart(family: 4 | 6, nowMs: number): FamilyPart | undefined {
    const part = this.#parts[family];
    return part !== undefined && part.untilMs > nowMs ? part : undefined;
  }

  /** Why nothing newer is known. */
  causeOf(family: 0 | 4 | 6): unknown {
    const [first, second] = family === 0 ? ([4, 6] as const) : ([family, family] as const);
    return (this.#failures[first] ?? this.#failures[second])?.cause;
  }

  /** What is known without waiting; a family that failed, or has kept others waiting, counts as failed. */
  current(family: 0 | 4 | 6, nowMs: number): Combined {
    const part = (each: 4 | 6): FamilyPart | undefined =>
      this.freshPart(each, nowMs) ?? this.#unavailable(each, nowMs);
    return combine(this.hostname, family, { 4: part(4), 6: part(6) });
  }

  #unavailable(family: 4 | 6, nowMs: number): FamilyPart | undefined {
    const failure = this.#failures[family];
    if (failure !== undefined) return { kind: 'failed', cause: failure.cause };
    const question = this.questions[family];
    const isLate = question !== undefined && nowMs - question.startedMs >= GRACE_MS;
    return isLate ? { kind: 'failed', cause: undefined } : undefined;
  }

  /** The families of which nothing fresh is known. */
  missing(family: 0 | 4 | 6, nowMs: number): (4 | 6)[] {
    const wanted = family === 0 ? ([4, 6] as const) : ([family] as const);
    return wanted.filter((each) => this.freshPart(each, nowMs) === undefined);
  }

  /** Whether a question that failed may be asked again. */
  isDue(family: 4 | 6, nowMs: number): boolean {
    const failure = this.#failures[family];
    return failure === undefined || nowMs - failure.atMs >= RETRY_MS;
  }

  /** The last good answer, if it expired less than `staleMs` ago. */
  stale(
    family: 0 | 4 | 6,
    nowMs: number,
    staleMs: number,
  ): (Combined & { kind: 'addresses' }) | undefined {
    const part = (each: 4 | 6): FamilyPart => {
      const kept = this.#parts[each];
      const isUsable = kept?.kind === 'addresses' && nowMs - kept.untilMs < staleMs;
      return isUsable ? kept : { kind: 'failed', cause: undefined };
    };
    const parts: FamilyParts = { 4: part(4), 6: part(6) };
    const found = combine(this.hostname, family, parts);
    return found.kind === 'addresses' ? found : undefined;
  }

  /** How long ago an answer expired that could not be renewed; 0: there is none. */
  staleAgeMs(nowMs: number): number {
    const ages = ([4, 6] as const).map((family) => {
      const part = this.#parts[family];
      const isStale = part?.kind === 'addresses' && this.#failures[family] !== undefined;
      return isStale ? nowMs - part.untilMs : 0;
    });
    return Math.max(0, ...ages);
  }

  /** Keeps an answer. */
  store(family: 4 | 6, answer: NameAnswer, nowMs: number): KeptPart {
    const untilMs = nowMs + answer.ttlMs;
    const part: KeptPart =
      answer.kind === 'addresses'
        ? { kind: answer.kind, addresses: answer.addresses, untilMs }
        : { kind: answer.kind, untilMs };
    this.#parts[family] = part;
    this.#failures[family] = undefined;
    this.asks = 0;
    this.#forgetViews();
    return part;
  }

  storeFailure(family: 4 | 6, cause: unknown, nowMs: number): void {
    this.#failures[family] = { cause, atMs: nowMs };
    this.#forgetViews();
  }

  /** Forgets answers, of the hosts file for example; the revision goes on. */
  forget(): void {
    this.#parts[4] = undefined;
    this.#parts[6] = undefined;
    this.#forgetViews();
  }

  /** What is known is no longer fresh. */
  expire(nowMs: number): void {
    for (const family of [4, 6] as const) {
      const part = this.#parts[family];
      if (part !== undefined)
        this.#parts[family] = { ...part, untilMs: Math.min(part.untilMs, nowMs) };
    }
    this.#forgetViews();
  }

  /** Says what has changed since the last time. */
  publish(): void {
    const present = ([4, 6] as const).flatMap((family): IpAddress[] => {
      const part = this.#parts[family];
      return part?.kind === 'addresses'
        ? part.addresses.map((address) => ({ address, family }))
        : [];
    });
    const without = (list: readonly IpAddress[], others: readonly IpAddress[]): IpAddress[] =>
      list.filter(({ address }) => !others.some((other) => other.address === address));
    const added = without(present, this.#published);
    const removed = without(this.#published, present);
    if (added.length === 0 && removed.length === 0) return;
    this.#published = present;
    this.#revision += 1;
    if (this.#revision === 1) return;
    const { hostname } = this;
    this.#deps.onChange({ hostname, added, removed, revision: this.#revision });
  }

  /** The set of what was found, and the sets of the calls after it. */
  take(
    family: 0 | 4 | 6,
    found: Combined & { readonly kind: 'addresses' },
    nowMs: number,
    stale?: StaleAddresses,
  ): AddressSet {
    this.publish();
    this.asks += 1;
    const { scores, firstFamily } = this.#deps;
    const { orders, untilMs } = orderAddresses(found, firstFamily(), scores, nowMs);
    const sets = orders.map((addresses) => this.#setOf(addresses, found.untilMs, stale));
    const turn = this.#turn % sets.length;
    this.#turn += 1;
    if (stale === undefined && found.untilMs > nowMs) {
      this.#views[family] = {
        sets,
        untilMs: Math.min(found.untilMs, untilMs, this.#retryAtMs(family, nowMs)),
        scoresVersion: scores.version,
        next: (turn + 1) % sets.length,
      };
    }
    const set = sets[turn];
    if (set === undefined) throw new RangeError(`no addresses of ${this.hostname}`);
    return set;
  }

  #setOf(
    addresses: readonly IpAddress[],
    validUntilMs: number,
    stale: StaleAddresses | undefined,
  ): AddressSet {
    const set = { hostname: this.hostname, addresses, validUntilMs, revision: this.#revision };
    return stale === undefined ? set : { ...set, stale };
  }

  /** When a family that is missing from the answer is due again. */
  #retryAtMs(family: 0 | 4 | 6, nowMs: number): number {
    return Math.min(
      ...this.missing(family, nowMs).map(
        (each) => (this.#failures[each]?.atMs ?? -Infinity) + RETRY_MS,
      ),
    );
  }

  #forgetViews(): void {
    this.#views[0] = undefined;
    this.#views[4] = undefined;
    this.#views[6] = undefined;
  }
}
