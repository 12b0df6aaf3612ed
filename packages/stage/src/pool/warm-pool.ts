import {
  type Clock,
  integer,
  InvalidOptionError,
  objectWith,
  optional,
  type OptionRule,
  parseOptions,
  requireNode,
  systemClock,
  type Timer,
} from '@holdfast/foundation';
import { StageClosedError } from '../errors.ts';
import { type Stage, type StageOptions, openStage } from '../stage.ts';
import { type IdleStage, toIdle } from './idle.ts';

export interface StagePoolOptions<O extends StageOptions> {
  /** What each spare is. */
  stage: O;
  /** How many wait to be leased. Default 2. */
  spares?: number;
  /** How many may be leased at one time; who asks for more waits. Default 8. */
  maxLeases?: number;
  /**
   * How long after a lease its successor is begun, in milliseconds: the first steps of who has leased are not
   * to be slowed down by it. Default 250.
   */
  refillAfterMs?: number;
  clock?: Clock;
}

/** A stage that is one's own until it is released. */
export interface StageLease<O extends StageOptions> {
  readonly stage: Stage<O>;
  /** Gives it back, in whatever state; nobody else gets to see what it held. */
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Stages that stand ready and cost nothing until they are leased. */
export interface StagePool<O extends StageOptions> {
  /** The next spare, made to go on; a new stage where none is left. @throws StageClosedError */
  lease(options?: { signal?: AbortSignal }): Promise<StageLease<O>>;
  /** Begins those that are missing; resolves when as many wait as there are to be, and rejects when one could not be opened. */
  filled(): Promise<void>;
  /** Ends all of them, leased or not. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const stageRule: OptionRule<object> = {
  permitted: 'the options of openStage()',
  parse(value, field, owner) {
    if (typeof value === 'object' && value !== null) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};
const shape = {
  stage: stageRule,
  spares: integer({ min: 0, max: 100, default: 2 }),
  maxLeases: integer({ min: 1, max: 1_000, default: 8 }),
  refillAfterMs: integer({ min: 0, max: 60_000, default: 250 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const leaseShape = { signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])) };

/**
 * Opens spares and keeps their number up. A server alone stands still meanwhile (SIGSTOP), members of a
 * topology go on, because they would take each other for dead.
 * @throws what openStage() throws for the first of them.
 */
export async function openStagePool<const O extends StageOptions>(
  options: StagePoolOptions<O>,
): Promise<StagePool<O>> {
  requireNode('openStagePool');
  const settled = parseOptions('openStagePool', shape, options);
  const { spares, maxLeases, refillAfterMs, clock } = settled;
  const ready: IdleStage<O>[] = [];
  const leased = new Set<Stage<O>>();
  const waiting: (() => void)[] = [];
  let taken = 0;
  let isClosed = false;
  let refilling = Promise.resolve();
  let nextRefill: Timer | undefined;

  const mustBeOpen = (): void => {
    if (isClosed) throw new StageClosedError('the spare');
  };
  const isLacking = (): boolean => !isClosed && ready.length < spares;
  const fill = async (): Promise<void> => {
    while (isLacking()) {
      const idle = await toIdle(await openStage(options.stage), clock);
      if (isClosed) await idle.stage.close();
      else ready.push(idle);
    }
  };
  const refill = (): Promise<void> => {
    nextRefill?.cancel();
    nextRefill = undefined;
    refilling = refilling.catch(() => undefined).then(fill);
    refilling.catch(() => undefined);
    return refilling;
  };
  const refillSoon = (): void => {
    nextRefill?.cancel();
    nextRefill = clock.schedule(refillAfterMs, refill, { holdsProcess: false });
  };

  /** Takes one of the places; where none is free, the next that is left. */
  const turn = async (signal: AbortSignal | undefined): Promise<void> => {
    if (taken < maxLeases) {
      taken += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const settle = (conclude: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        conclude();
      };
      const wake = (): void => settle(resolve);
      const onAbort = (): void => {
        waiting.splice(waiting.indexOf(wake), 1);
        settle(() => reject(signal?.reason));
      };
      waiting.push(wake);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) taken -= 1;
    else next();
  };

  const leaseOf = ({ stage, reset }: IdleStage<O>): StageLease<O> => {
    leased.add(stage);
    let released: Promise<void> | undefined;
    const give = async (): Promise<void> => {
      leased.delete(stage);
      leave();
      if (isLacking() && (await reset())) {
        ready.push({ stage, reset, wake: () => Promise.resolve() });
        return;
      }
      await stage.close();
      refillSoon();
    };
    const release = (): Promise<void> => (released ??= give());
    return { stage, release, [Symbol.asyncDispose]: release };
  };

  const close = async (): Promise<void> => {
    isClosed = true;
    nextRefill?.cancel();
    for (const wake of waiting.splice(0)) wake();
    await refilling.catch(() => undefined);
    const all = [...ready.splice(0).map(({ stage }) => stage), ...leased];
    await Promise.all(all.map((stage) => stage.close()));
  };

  try {
    await fill();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async lease(given = {}) {
      const { signal } = parseOptions('lease', leaseShape, given);
      signal?.throwIfAborted();
      mustBeOpen();
      await turn(signal);
      try {
        mustBeOpen();
        const idle = ready.shift();
        if (idle === undefined)
          return leaseOf(await toIdle(await openStage(options.stage), clock, false));
        await idle.wake();
        refillSoon();
        return leaseOf(idle);
      } catch (error) {
        leave();
        throw error;
      }
    },
    filled: refill,
    close,
    [Symbol.asyncDispose]: close,
  };
}
