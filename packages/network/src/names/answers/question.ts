import { LinkedList, ListNode, type Clock, type Timer } from '@holdfast/foundation';
import { NameQueueFullError } from '../errors.ts';
import type { NameAnswer, NameSource } from '../resolver.ts';

/** Waits for the answer to a question. */
export interface Asker {
  onAnswer(question: Question): void;
}

/** What became of a question. */
export type QuestionResult =
  | { readonly kind: 'answered'; readonly answer: NameAnswer }
  | { readonly kind: 'failed'; readonly cause: unknown };

/** One family of one name, asked for all that wait for it; it ends with the last of them. */
export class Question extends ListNode {
  readonly hostname: string;
  readonly candidates: readonly string[];
  readonly family: 4 | 6;
  readonly startedMs: number;
  readonly askers: Set<Asker> = new Set();
  /** `parked`: without an answer for so long that another one took its place; it goes on listening. */
  state: 'waiting' | 'in-flight' | 'parked' | 'over' = 'waiting';
  timer: Timer | undefined;
  readonly controller: AbortController = new AbortController();
  readonly #onEnd: (question: Question, result: QuestionResult) => void;

  constructor(
    { hostname, candidates }: { readonly hostname: string; readonly candidates: readonly string[] },
    family: 4 | 6,
    startedMs: number,
    onEnd: (question: Question, result: QuestionResult) => void,
  ) {
    super();
    this.hostname = hostname;
    this.candidates = candidates;
    this.family = family;
    this.startedMs = startedMs;
    this.#onEnd = onEnd;
  }

  end(result: QuestionResult): void {
    this.#onEnd(this, result);
  }
}

/** A question without an answer for so long gives its place to the next, so that slow names do not delay others. */
const SLOW_MS = 300;
/** How many more than `maxInFlight` may be without an answer. */
const PARKED_FACTOR = 3;

/** Asks the source, a bounded number of questions at a time; the others wait in their order. */
export class QuestionQueue {
  readonly #source: NameSource;
  readonly #clock: Clock;
  readonly #maxInFlight: number;
  readonly #maxWaiting: number;
  readonly #waiting = new LinkedList<Question>();
  #inFlight = 0;
  #parked = 0;

  constructor(
    source: NameSource,
    clock: Clock,
    limits: { readonly maxInFlight: number; readonly maxWaiting: number },
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#maxInFlight = limits.maxInFlight;
    this.#maxWaiting = limits.maxWaiting;
  }

  get inFlight(): number {
    return this.#inFlight + this.#parked;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** @throws NameQueueFullError */
  add(question: Question): void {
    if (this.#inFlight < this.#maxInFlight) {
      this.#start(question);
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      throw new NameQueueFullError(question.hostname, this.#maxWaiting);
    }
    this.#waiting.append(question);
  }

  /** The question ends without an answer: nobody waits for it any more. */
  cancel(question: Question, reason: unknown): void {
    this.#finish(question, { kind: 'failed', cause: reason });
    question.controller.abort(reason);
  }

  #start(question: Question): void {
    question.state = 'in-flight';
    this.#inFlight += 1;
    const onSlow = (): void => this.#park(question);
    question.timer = this.#clock.schedule(SLOW_MS, onSlow, { holdsProcess: false });
    this.#ask(question).then(
      (answer) => this.#finish(question, { kind: 'answered', answer }),
      (cause: unknown) => this.#finish(question, { kind: 'failed', cause }),
    );
  }

  /** The candidates of a search one after the other, until one exists. */
  async #ask({ candidates, family, controller }: Question): Promise<NameAnswer> {
    let answer: NameAnswer = { kind: 'not-found', ttlMs: 0 };
    for (const candidate of candidates) {
      answer = await this.#source.ask(candidate, family, controller.signal);
      // A name without addresses exists: so both families stop at the same name.
      if (answer.kind !== 'not-found') return answer;
    }
    return answer;
  }

  #park(question: Question): void {
    if (this.#parked >= PARKED_FACTOR * this.#maxInFlight) return;
    question.state = 'parked';
    this.#inFlight -= 1;
    this.#parked += 1;
    this.#startNext();
  }

  #finish(question: Question, result: QuestionResult): void {
    const { state } = question;
    if (state === 'over') return;
    question.state = 'over';
    question.timer?.cancel();
    if (state === 'in-flight') this.#inFlight -= 1;
    else if (state === 'parked') this.#parked -= 1;
    else this.#waiting.remove(question);
    question.end(result);
    this.#startNext();
  }

  #startNext(): void {
    while (this.#inFlight < this.#maxInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#start(next);
    }
  }
}
