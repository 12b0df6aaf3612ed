import type { Clock, Timer } from '@holdfast/foundation';
import type { RegionOutcome } from './errors.ts';

export interface RoundPlan<T> {
  /** In the order of asking. */
  readonly regions: readonly string[];
  /** How many are asked at once; each failure, and each `hedgeDelayMs` without enough, asks one more. */
  readonly atOnce: number;
  readonly hedgeDelayMs: number;
  readonly ask: (region: string, signal: AbortSignal) => Promise<T>;
  readonly isEnough: (answers: ReadonlyMap<string, T>) => boolean;
  /** Those that have not answered when enough have go on until this aborts; without it they are given up. */
  readonly othersEnd?: AbortSignal;
}

export interface RoundResult<T> {
  readonly isEnough: boolean;
  readonly answers: ReadonlyMap<string, T>;
  readonly outcomes: readonly RegionOutcome[];
  /** Regions asked because those asked first were slow. */
  readonly hedges: number;
  /** Where regions go on: resolves when each has answered, failed or been given up. Never rejects. */
  readonly rest: Promise<void> | undefined;
}

/** The reason in the signal of a question that is not waited for any more. */
export const ENOUGH: DOMException = new DOMException('enough regions have answered', 'AbortError');

/**
 * Asks regions until enough have answered, none is left, or the signal aborts; then it resolves, with what
 * is known, within one turn. It never rejects: what too few answers mean is the caller's to say.
 */
export function playRound<T>(
  plan: RoundPlan<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<RoundResult<T>> {
  const { regions, ask, isEnough, hedgeDelayMs } = plan;
  const answers = new Map<string, T>();
  const failures = new Map<string, unknown>();
  const questions: Promise<void>[] = [];
  const asking = new AbortController();
  let asked = 0;
  let hedges = 0;
  let isOver = false;
  let timer: Timer | undefined;

  return new Promise((resolve) => {
    const end = (givesUp: boolean): void => {
      if (isOver) return;
      isOver = true;
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      const { othersEnd } = plan;
      const goOn = !givesUp && othersEnd !== undefined && answers.size + failures.size < asked;
      resolve({
        isEnough: isEnough(answers),
        answers: new Map(answers),
        outcomes: regions.map(outcomeOf),
        hedges,
        rest: goOn ? untilSettled(othersEnd) : undefined,
      });
      if (!goOn) asking.abort(signal.aborted ? signal.reason : ENOUGH);
    };
    const untilSettled = async (othersEnd: AbortSignal): Promise<void> => {
      const stop = (): void => asking.abort(othersEnd.reason);
      othersEnd.addEventListener('abort', stop);
      await Promise.all(questions);
      othersEnd.removeEventListener('abort', stop);
    };
    const onAbort = (): void => end(true);

    const outcomeOf = (region: string, index: number): RegionOutcome => {
      if (answers.has(region)) return { region, answered: 'yes' };
      if (failures.has(region)) return { region, answered: 'failed', error: failures.get(region) };
      return { region, answered: index < asked ? 'pending' : 'not-asked' };
    };

    const judge = (): void => {
      if (isEnough(answers)) end(false);
      else if (answers.size + failures.size === regions.length) end(false);
    };

    const question = async (region: string): Promise<void> => {
      try {
        const answer = await orAborted(() => ask(region, asking.signal), asking.signal);
        if (isOver) return;
        answers.set(region, answer);
      } catch (error) {
        if (isOver) return;
        failures.set(region, error);
        askNext();
      }
      judge();
    };
    const askNext = (): void => {
      const region = regions[asked];
      if (region === undefined) return;
      asked += 1;
      questions.push(question(region));
    };
    const armHedge = (): void => {
      if (asked >= regions.length || isOver) return;
      timer = clock.schedule(hedgeDelayMs, () => {
        hedges += 1;
        askNext();
        armHedge();
      });
    };

    if (signal.aborted) {
      end(true);
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    while (asked < Math.min(plan.atOnce, regions.length)) askNext();
    armHedge();
    judge();
  });
}

/** Settles like the work, or with the signal's reason, so that no region can outlast its question. */
function orAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const forget = (): void => signal.removeEventListener('abort', onAbort);
    work().finally(forget).then(resolve, reject);
  });
}
