import { type Clock, propertyOf } from '@holdfast/foundation';
import { type CircuitBreaker, createCircuitBreaker } from '@holdfast/resilience';
import { AnswerPace } from './answer-pace.ts';
import { type PipelineCommand, RedisLink, RedisUnavailableError, isRefusal } from './redis-link.ts';
import type { CacheRedisClient } from './redis-client.ts';

/** A circuit that is open is probed from here, not by callers, who would wait for it. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;
/** How often at most a connection that does not answer is made anew. */
const RENEW_MS = 1_000;

interface GuardedLinkOptions {
  readonly timeoutMs: number;
  readonly failureThreshold: number;
  readonly clock: Clock;
  /** Redis is left alone from now on. */
  onOpen(): void;
}

/** The connection for commands, behind a circuit breaker: while Redis is away, a call costs nothing. */
export class GuardedLink {
  readonly #link: RedisLink;
  readonly #options: GuardedLinkOptions;
  readonly #circuit: CircuitBreaker;
  readonly #pace: AnswerPace;
  #renewedMs = -Infinity;
  #timeouts = 0;

  constructor(client: CacheRedisClient, options: GuardedLinkOptions) {
    const { clock, failureThreshold } = options;
    this.#options = options;
    this.#link = new RedisLink(client, clock);
    this.#pace = new AnswerPace(clock, options.timeoutMs);
    this.#circuit = createCircuitBreaker({
      name: 'cache-redis',
      failureThreshold,
      openDurationMs: NEVER_MS,
      maxOpenDurationMs: NEVER_MS,
      clock,
    });
    this.#circuit.on('stateChanged', ({ to }) => {
      if (to !== 'open') return;
      this.#link.failAll(new RedisUnavailableError('the circuit is open'));
      options.onOpen();
    });
  }

  get opened(): Promise<void> {
    return this.#link.opened;
  }

  get isAvailable(): boolean {
    return this.#link.isReady && this.#circuit.state === 'closed';
  }

  /** Whether Redis is to be asked for what the source knows too. */
  get isPrompt(): boolean {
    return this.isAvailable && !this.#pace.isLate;
  }

  /** Calls that Redis has not answered in time, or at all. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /** @throws RedisUnavailableError at once or after `timeoutMs` */
  run(commands: readonly PipelineCommand[]): Promise<unknown[]> {
    return this.#run(commands);
  }

  /**
   * As `run`, for what the source knows too: gives up as soon as the answer is late. The command itself goes on, and
   * shows whether Redis answers at all.
   * @throws RedisUnavailableError
   */
  runWhilePrompt(commands: readonly PipelineCommand[]): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      const onLate = (): void => reject(new RedisUnavailableError('the answer is late'));
      this.#run(commands, onLate).then(resolve, reject);
    });
  }

  async #run(commands: readonly PipelineCommand[], onLate?: () => void): Promise<unknown[]> {
    if (!this.#link.isReady) throw new RedisUnavailableError('no connection');
    const permit = this.#circuit.tryAcquire();
    if (!permit.granted) throw new RedisUnavailableError('the circuit is open');
    const watch = this.#pace.watch(onLate);
    try {
      const replies = await this.#link.run(commands, this.#options.timeoutMs);
      watch.end(true);
      permit.success();
      return replies;
    } catch (error) {
      watch.end(false);
      this.#timeouts += 1;
      permit.failure(error);
      // It was the primary when the connection was made.
      if (isRefusal(propertyOf(error, 'cause'), /^READONLY/)) this.#link.renew();
      throw error;
    }
  }

  /** Closes an open circuit if Redis answers again. Never rejects. */
  async probe(command: PipelineCommand): Promise<void> {
    if (this.#circuit.state === 'closed') return;
    try {
      await this.#link.run([command], this.#options.timeoutMs);
      this.#circuit.reset();
    } catch {
      const nowMs = this.#options.clock.now();
      if (nowMs - this.#renewedMs < RENEW_MS) return;
      this.#renewedMs = nowMs;
      this.#link.renew();
    }
  }

  close(): void {
    this.#link.close();
  }
}
