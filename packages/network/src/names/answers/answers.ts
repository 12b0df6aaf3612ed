import { NameNotFoundError, type NameTimeoutError } from '../errors.ts';
import type { FamilyPart } from './combine.ts';
import { type NameEntry, RETRY_MS } from './name-entry.ts';
import type { ResolverSettings } from '../options.ts';
import { type Asker, Question, QuestionQueue, type QuestionResult } from './question.ts';
import { RefreshSchedule } from './refresh-schedule.ts';
import type { NameSource, StaleServed } from '../resolver.ts';
import { requireAnswer } from './source-answer.ts';

/** When an answer is renewed, as a share of its time to live. */
const PREFETCH_SHARE = 0.8;
/** How often a watched name is asked at most, whatever its time to live. */
const MIN_WATCH_MS = 500;

interface AnswersDeps {
  readonly settings: ResolverSettings;
  readonly source: NameSource;
  /** The answer of a name expires soon, or could not be renewed a while ago. */
  readonly onRefreshDue: (entry: NameEntry) => void;
  readonly onStale: (event: StaleServed) => void;
}

/** Shares questions among the calls that wait for them, and keeps the answers in the entries of their names. */
export class Answers {
  readonly #deps: AnswersDeps;
  readonly #questions: QuestionQueue;
  readonly #schedule: RefreshSchedule;
  readonly #results = new WeakMap<Question, FamilyPart>();

  constructor(deps: AnswersDeps) {
    const { settings, source, onRefreshDue } = deps;
    this.#deps = deps;
    this.#questions = new QuestionQueue(source, settings.clock, settings);
    this.#schedule = new RefreshSchedule(settings.clock, onRefreshDue);
  }

  get inFlight(): number {
    return this.#questions.inFlight;
  }

  get waiting(): number {
    return this.#questions.waiting;
  }

  close(): void {
    this.#schedule.close();
  }

  /** What the answer to a question is, as the entry keeps it. */
  partOf(question: Question): FamilyPart {
    return this.#results.get(question) ?? { kind: 'failed', cause: undefined };
  }

  /** Waits for a question, which is asked if it is not yet. @throws NameQueueFullError */
  join(entry: NameEntry, family: 4 | 6, asker: Asker): Question {
    const open = entry.questions[family];
    if (open !== undefined) {
      open.askers.add(asker);
      return open;
    }
    const nowMs = this.#deps.settings.clock.now();
    const question = new Question(entry, family, nowMs, (ended, result) =>
      this.#onEnd(entry, ended, result),
    );
    question.askers.add(asker);
    this.#questions.add(question);
    entry.questions[family] = question;
    return question;
  }

  /** Ends the question if nobody else waits for it; a timeout then counts as its failure. */
  leave(
    entry: NameEntry,
    question: Question,
    asker: Asker,
    cause: 'aborted' | NameTimeoutError,
  ): void {
    question.askers.delete(asker);
    if (question.askers.size > 0) return;
    const isTimeout = cause !== 'aborted';
    this.#questions.cancel(
      question,
      isTimeout ? cause : new DOMException('no longer wanted', 'AbortError'),
    );
    if (isTimeout) this.#storeFailure(entry, question.family, cause);
  }

  #onEnd(entry: NameEntry, question: Question, result: QuestionResult): void {
    const { family, askers } = question;
    if (entry.questions[family] === question) entry.questions[family] = undefined;
    // Canceled: nobody is left to hear of it.
    if (askers.size === 0) return;
    this.#results.set(question, this.#keep(entry, family, result));
    for (const asker of askers) asker.onAnswer(question);
    const other = entry.questions[family === 4 ? 6 : 4];
    if (other === undefined) entry.publish();
  }

  #keep(entry: NameEntry, family: 4 | 6, result: QuestionResult): FamilyPart {
    const { clock, minTtlMs, maxTtlMs, maxNegativeTtlMs, staleOnNxdomain, staleMs } =
      this.#deps.settings;
    const nowMs = clock.now();
    let cause: unknown = result.kind === 'failed' ? result.cause : undefined;
    if (result.kind === 'answered' && !entry.isStatic) {
      try {
        const { answer } = result;
        requireAnswer(answer, family);
        const isKept = staleOnNxdomain && entry.stale(family, nowMs, staleMs) !== undefined;
        if (answer.kind === 'not-found' && isKept) throw new NameNotFoundError(entry.hostname);
        const ttlMs =
          answer.kind === 'addresses'
            ? Math.min(maxTtlMs, Math.max(minTtlMs, answer.ttlMs))
            : Math.min(maxNegativeTtlMs, answer.ttlMs);
        const part = entry.store(family, { ...answer, ttlMs }, nowMs);
        this.#scheduleRefresh(entry, nowMs, ttlMs);
        return part;
      } catch (error) {
        cause = error;
      }
    }
    this.#storeFailure(entry, family, cause);
    return { kind: 'failed', cause };
  }

  #storeFailure(entry: NameEntry, family: 4 | 6, cause: unknown): void {
    const { clock, staleMs } = this.#deps.settings;
    const nowMs = clock.now();
    entry.storeFailure(family, cause, nowMs);
    if (entry.refreshAtMs === Infinity) this.#schedule.set(entry, nowMs + RETRY_MS);
    const stale = entry.stale(family, nowMs, staleMs);
    if (stale === undefined || stale.untilMs > nowMs) return;
    const { hostname } = entry;
    this.#deps.onStale({ hostname, ageMs: nowMs - stale.untilMs, cause });
  }

  #scheduleRefresh(entry: NameEntry, nowMs: number, ttlMs: number): void {
    const isWatched = entry.watchers > 0;
    if (ttlMs === 0 && !isWatched) return;
    const afterMs = Math.max(isWatched ? MIN_WATCH_MS : 0, PREFETCH_SHARE * ttlMs);
    // Of two families the shorter one counts.
    if (nowMs + afterMs < entry.refreshAtMs) this.#schedule.set(entry, nowMs + afterMs);
  }
}
