import { type Clock, type Timer, onAbort } from '@holdfast/foundation';
import type { IpAddress } from '../network.ts';
import type { DialAttempt } from './errors.ts';

/** What an attempt tells the race while it goes on. */
export interface AttemptProgress {
  /** Aborts when the race is over. */
  readonly signal: AbortSignal;
  /** The server accepted; the next attempt waits longer now. */
  connected(): void;
}

interface RaceOptions<T> {
  readonly clock: Clock;
  readonly attemptDelayMs: number;
  readonly signal: AbortSignal;
  attempt(address: IpAddress, progress: AttemptProgress): Promise<T>;
  /** Whether no other address can help. */
  isFinal(error: unknown): boolean;
  /** Called for each address that failed, with its error, or that took too long for others or for the caller. */
  failed(address: IpAddress, error?: unknown): void;
}

/** No attempt succeeded. */
export class RaceLost extends AggregateError {
  readonly attempts: readonly DialAttempt[];

  constructor(attempts: readonly DialAttempt[]) {
    super(attempts.map(({ error }) => error));
    this.attempts = attempts;
  }
}

/** Nobody sees it: the attempts that it ends are not waited for. */
const OVER = new Error('another attempt has ended the race');

/** A server that has accepted gets this much more time before the next address is tried beside it. */
const HANDSHAKE_DELAY_FACTOR = 4;

interface Attempt {
  readonly address: IpAddress;
  readonly startedMs: number;
  /** How long it may take before it counts as failed. */
  patienceMs: number;
}

/**
 * Happy eyeballs (RFC 8305): tries the addresses in order, the next one when one has failed or `attemptDelayMs` have
 * passed, and resolves with the first that succeeds; the others are aborted. Rejects with a {@link RaceLost}, with an error
 * for which `isFinal` holds, or with the signal's reason.
 */
export function race<T>(addresses: readonly IpAddress[], options: RaceOptions<T>): Promise<T> {
  const { clock, attemptDelayMs, signal } = options;
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const waiting = [...addresses];
    const running = new Set<Attempt>();
    const failures: DialAttempt[] = [];
    let timer: Timer | undefined;
    let isOver = false;

    const end = (conclude: () => void): void => {
      isOver = true;
      timer?.cancel();
      release();
      const nowMs = clock.now();
      for (const { address, startedMs, patienceMs } of running) {
        if (nowMs - startedMs >= patienceMs) options.failed(address);
      }
      controller.abort(OVER);
      conclude();
    };
    const release = onAbort(signal, () => end(() => reject(signal.reason)));

    const startNextAfter = (delayMs: number): void => {
      timer?.cancel();
      timer = waiting.length === 0 ? undefined : clock.schedule(delayMs, startNext);
    };
    const lose = (attempt: Attempt, error: unknown): void => {
      if (isOver) return;
      running.delete(attempt);
      failures.push({ address: attempt.address, error });
      options.failed(attempt.address, error);
      if (options.isFinal(error)) end(() => reject(error));
      else if (waiting.length > 0) startNext();
      else if (running.size === 0) end(() => reject(new RaceLost(failures)));
    };
    const startNext = (): void => {
      const address = waiting.shift();
      if (address === undefined) return;
      const attempt: Attempt = { address, startedMs: clock.now(), patienceMs: attemptDelayMs };
      running.add(attempt);
      startNextAfter(attemptDelayMs);
      const connected = (): void => {
        if (isOver) return;
        const delayMs = attemptDelayMs * HANDSHAKE_DELAY_FACTOR;
        attempt.patienceMs += delayMs;
        startNextAfter(delayMs);
      };
      options.attempt(address, { signal: controller.signal, connected }).then(
        (value) => {
          if (isOver) return;
          running.delete(attempt);
          end(() => resolve(value));
        },
        (error: unknown) => lose(attempt, error),
      );
    };

    if (signal.aborted) end(() => reject(signal.reason));
    else startNext();
  });
}
