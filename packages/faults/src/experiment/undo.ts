import { type Clock, InvalidOptionError, settlesWithin } from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';
import { FaultNotUndoneError } from '../errors.ts';

/** Undoes a fault. */
export type Undo = () => unknown;

/** Collects what undoes a fault while the fault is being injected. */
export interface FaultUndo {
  /** Registers what undoes the steps so far; called in any case, the latest first, also when `fault` rejects later. */
  defer(undo: Undo): void;
}

export type InjectFault = (
  signal: AbortSignal,
  undo: FaultUndo,
) => Undo | void | Promise<Undo | void>;

interface FaultDeps {
  readonly name: string;
  readonly clock: Clock;
  readonly faultTimeoutMs: number;
  readonly undoTimeoutMs: number;
}

/** The share of the time left that one undo function may have before the next one is called. */
const LONGEST_TURN = 0.9;

/** Injects a fault and undoes it once, whatever happens in between. */
export class ReversibleFault {
  readonly #deps: FaultDeps;
  readonly #undos: Undo[] = [];
  #injecting: Promise<unknown> = Promise.resolve();
  #undone: Promise<unknown> | undefined;
  #isOver = false;

  constructor(deps: FaultDeps) {
    this.#deps = deps;
  }

  /** @throws the error of `fault`, the signal's reason, TimeoutError, or InvalidOptionError when it cannot be undone. */
  async inject(fault: InjectFault, signal: AbortSignal): Promise<void> {
    const injecting = (async (): Promise<unknown> =>
      fault(signal, { defer: (undo) => this.#defer(undo) }))();
    // An undo function counts also when it comes after the time was over.
    const taken = injecting.then((undo) => {
      if (isUndo(undo)) this.#defer(undo);
      else if (this.#undos.length === 0) {
        const permitted = 'a function that returns what undoes the fault, or defers it';
        throw new InvalidOptionError('experiment', 'fault', undo, permitted);
      }
    });
    this.#injecting = taken;
    taken.catch(() => {});
    const { clock, faultTimeoutMs: timeoutMs } = this.#deps;
    await withTimeout(() => taken, { name: 'fault', timeoutMs, clock, signal });
  }

  /** Undoes the fault once. Resolves after `undoTimeoutMs` at the latest, with the error if it was not undone. */
  undo(): Promise<unknown> {
    return (this.#undone ??= this.#undo());
  }

  /** Calls what has not been called yet without waiting, for a process that is about to end. */
  undoNow(): void {
    this.#isOver = true;
    for (let next = this.#undos.pop(); next !== undefined; next = this.#undos.pop()) {
      void call(next);
    }
  }

  #defer(undo: Undo): void {
    if (this.#isOver) void call(undo);
    else this.#undos.push(undo);
  }

  async #undo(): Promise<unknown> {
    const { name, clock, undoTimeoutMs } = this.#deps;
    const endMs = clock.now() + undoTimeoutMs;
    // Half of the time at most for a fault that is still being injected.
    await settlesWithin(clock, undoTimeoutMs / 2, this.#injecting);
    let failure: { readonly reason: string; readonly cause: unknown } | undefined;
    const calls: Promise<void>[] = [];
    for (let next = this.#undos.pop(); next !== undefined; next = this.#undos.pop()) {
      const called = call(next).then((failed) => {
        if (failed !== undefined) failure ??= { reason: 'see the cause', cause: failed.error };
      });
      calls.push(called);
      // One that hangs leaves time for those of the earlier steps, which are then called beside it.
      const share = this.#undos.length === 0 ? 1 : LONGEST_TURN;
      await settlesWithin(clock, Math.max(0, endMs - clock.now()) * share, called);
    }
    this.#isOver = true;
    const leftMs = Math.max(0, endMs - clock.now());
    if (!(await settlesWithin(clock, leftMs, Promise.all(calls)))) {
      failure ??= { reason: `it took longer than ${undoTimeoutMs} ms`, cause: undefined };
    }
    return failure && new FaultNotUndoneError(name, failure.reason, failure.cause);
  }
}

/** Returns the failure of an undo function, if it failed. */
async function call(undo: Undo): Promise<{ readonly error: unknown } | undefined> {
  try {
    await undo();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function isUndo(value: unknown): value is Undo {
  return typeof value === 'function';
}
