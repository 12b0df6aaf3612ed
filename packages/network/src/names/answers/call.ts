import { type Clock, type Timer, onAbort } from '@holdfast/foundation';
import type { AddressSet } from '../../network.ts';
import { type FamilyPart, type FamilyParts, combine } from './combine.ts';
import { NameTimeoutError } from '../errors.ts';
import { GRACE_MS, type NameEntry } from './name-entry.ts';
import type { Asker, Question } from './question.ts';

/** What a call needs of its resolver. */
export interface NameCallDeps {
  readonly clock: Clock;
  readonly staleMs: number;
  readonly staleWaitMs: number;
  /** @throws NameQueueFullError */
  join(entry: NameEntry, family: 4 | 6, asker: Asker): Question;
  /** `timeout`: the question counts as failed if this was the last that waited for it. */
  leave(
    entry: NameEntry,
    question: Question,
    asker: Asker,
    cause: 'aborted' | NameTimeoutError,
  ): void;
  /** What the answer to a question is, as the entry keeps it. */
  partOf(question: Question): FamilyPart;
  onEnd(call: NameCall): void;
}

/** Settles what the caller holds. A call for the resolver's own sake has none. */
interface NameCallSettlement {
  readonly resolve: (set: AddressSet) => void;
  readonly reject: (error: unknown) => void;
}

interface NameCallOptions {
  readonly family: 0 | 4 | 6;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Without it the call renews the answer, whether or not it is fresh, and holds no process. */
  readonly settlement: NameCallSettlement | undefined;
}

/**
 * One call that waits for answers. It settles once: with an answer, with that of one family 50 ms later, with an expired
 * one, or at its deadline; a question that is still open then is waited for until the deadline, for the calls to come.
 */
export class NameCall implements Asker {
  readonly #deps: NameCallDeps;
  readonly #entry: NameEntry;
  readonly #options: NameCallOptions;
  readonly #parts: { 4: FamilyPart | undefined; 6: FamilyPart | undefined } = {
    4: undefined,
    6: undefined,
  };
  readonly #questions = new Set<Question>();
  readonly #endsAtMs: number;
  #settlement: NameCallSettlement | undefined;
  #deadline: Timer | undefined;
  #grace: Timer | undefined;
  #staleTimer: Timer | undefined;
  #releaseSignal: () => void = () => {};

  constructor(deps: NameCallDeps, entry: NameEntry, options: NameCallOptions) {
    this.#deps = deps;
    this.#entry = entry;
    this.#options = options;
    this.#settlement = options.settlement;
    this.#endsAtMs = deps.clock.now() + options.timeoutMs;
  }

  start(): void {
    const { family, signal } = this.#options;
    this.#releaseSignal = onAbort(signal, () => this.#end('aborted', signal?.reason));
    this.#armDeadline();
    const nowMs = this.#deps.clock.now();
    for (const each of family === 0 ? ([4, 6] as const) : ([family] as const)) {
      const fresh = this.#settlement && this.#entry.freshPart(each, nowMs);
      if (fresh === undefined) this.#ask(each);
      else this.#parts[each] = fresh;
    }
    this.#check();
    if (this.#settlement !== undefined) this.#armStale(nowMs);
  }

  onAnswer(question: Question): void {
    this.#questions.delete(question);
    this.#parts[question.family] = this.#deps.partOf(question);
    this.#check();
  }

  /** Ends the call with an error, at the close of the resolver. */
  abort(error: unknown): void {
    this.#end('aborted', error);
  }

  #ask(family: 4 | 6): void {
    try {
      this.#questions.add(this.#deps.join(this.#entry, family, this));
    } catch (cause) {
      this.#parts[family] = { kind: 'failed', cause };
    }
  }

  #check(): void {
    if (this.#settlement !== undefined) this.#settleWith(this.#parts);
    if (this.#questions.size === 0) this.#release();
  }

  #settleWith(parts: FamilyParts): void {
    const { family } = this.#options;
    const found = combine(this.#entry.hostname, family, parts);
    if (found.kind === 'addresses') {
      const set = this.#entry.take(family, found, this.#deps.clock.now());
      this.#settle(({ resolve }) => resolve(set));
    } else if (found.kind === 'absent') {
      this.#settle(({ reject }) => reject(found.error));
    } else if (found.kind === 'failed') {
      if (!this.#settleStale(found.cause)) this.#settle(({ reject }) => reject(found.cause));
    } else if (found.hasAnswer && this.#grace === undefined) {
      const [open] = this.#questions;
      const nowMs = this.#deps.clock.now();
      const leftMs = Math.max(0, GRACE_MS - (nowMs - (open?.startedMs ?? nowMs)));
      this.#grace = this.#deps.clock.schedule(leftMs, () => this.#settleWith(this.#partsSoFar()), {
        holdsProcess: false,
      });
    }
  }

  /** A family without an answer counts as failed. */
  #partsSoFar(cause?: unknown): FamilyParts {
    const failed: FamilyPart = { kind: 'failed', cause };
    return { 4: this.#parts[4] ?? failed, 6: this.#parts[6] ?? failed };
  }

  /** An expired answer serves when a newer one takes too long. */
  #armStale(nowMs: number): void {
    const { staleMs, staleWaitMs, clock } = this.#deps;
    const { family } = this.#options;
    if (this.#entry.stale(family, nowMs, staleMs) === undefined) return;
    const startedMs = Math.min(...[...this.#questions].map((question) => question.startedMs));
    const onDue = (): void => {
      const { hostname } = this.#entry;
      const cause = this.#entry.causeOf(family) ?? new NameTimeoutError(hostname, staleWaitMs);
      this.#settleWith(this.#partsSoFar(cause));
    };
    const leftMs = Math.max(0, staleWaitMs - (nowMs - startedMs));
    if (leftMs === 0) onDue();
    else this.#staleTimer = clock.schedule(leftMs, onDue, { holdsProcess: false });
  }

  #settleStale(cause: unknown): boolean {
    const { family } = this.#options;
    const nowMs = this.#deps.clock.now();
    const found = this.#entry.stale(family, nowMs, this.#deps.staleMs);
    if (found === undefined) return false;
    const ageMs = Math.max(0, nowMs - found.untilMs);
    const set = this.#entry.take(family, found, nowMs, { ageMs, cause });
    this.#settle(({ resolve }) => resolve(set));
    return true;
  }

  #settle(conclude: (settlement: NameCallSettlement) => void): void {
    const settlement = this.#settlement;
    if (settlement === undefined) return;
    this.#settlement = undefined;
    this.#grace?.cancel();
    this.#staleTimer?.cancel();
    this.#releaseSignal();
    conclude(settlement);
    // What is still open is for later calls, and holds no process.
    if (this.#questions.size > 0) this.#armDeadline();
    else this.#release();
  }

  #armDeadline(): void {
    this.#deadline?.cancel();
    const { clock } = this.#deps;
    const leftMs = Math.max(0, this.#endsAtMs - clock.now());
    this.#deadline = clock.schedule(leftMs, () => this.#onDeadline(), {
      holdsProcess: this.#settlement !== undefined,
    });
  }

  #onDeadline(): void {
    const error = new NameTimeoutError(this.#entry.hostname, this.#options.timeoutMs);
    this.#leaveAll(error);
    this.#settleWith(this.#partsSoFar(error));
    this.#release();
  }

  #end(cause: 'aborted', error: unknown): void {
    this.#leaveAll(cause);
    this.#settle(({ reject }) => reject(error));
    this.#release();
  }

  #leaveAll(cause: 'aborted' | NameTimeoutError): void {
    for (const question of this.#questions) {
      this.#deps.leave(this.#entry, question, this, cause);
    }
    this.#questions.clear();
  }

  #release(): void {
    this.#deadline?.cancel();
    this.#grace?.cancel();
    this.#staleTimer?.cancel();
    this.#releaseSignal();
    this.#deps.onEnd(this);
  }
}
