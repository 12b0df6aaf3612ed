import { type Clock, sleep } from '@holdfast/foundation';
import type { BoundValue, TransactionStatus } from '@holdfast/protocols/postgres';
import type { FakeBehavior } from './behavior.ts';
import { ownAnswer } from './builtin-statements.ts';
import type { Reply, Script } from './script.ts';
import { commits } from './transaction-status.ts';

/** What a statement is answered with in the end. */
export type Answered = Exclude<Reply, 'never'>;

/** What answers stand on. */
export interface AnsweringHost {
  readonly clock: Clock;
  readonly script: Script;
  behavior(): FakeBehavior;
}

/** A statement, and the session that asks. */
export interface Asked {
  readonly sql: string;
  readonly values: readonly BoundValue[];
  readonly session: number;
  readonly processId: number;
  readonly status: TransactionStatus;
}

/** Finds the answers of one session, one at a time, in the time they take; each can be cancelled. */
export class Answering {
  readonly #host: AnsweringHost;
  #running: AbortController | undefined;

  constructor(host: AnsweringHost) {
    this.#host = host;
  }

  /** Ends the statement under way; without one it does nothing. */
  cancel(): void {
    this.#running?.abort();
  }

  async answer(asked: Asked): Promise<Answered> {
    const running = new AbortController();
    this.#running = running;
    try {
      const { signal } = running;
      const cancelled = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      const reply = await Promise.race([this.#find(asked, signal), cancelled]);
      if (reply === 'never') return await cancelled;
      const delayMs = this.#host.behavior().replyDelayMs + (reply.delayMs ?? 0);
      if (delayMs > 0) await sleep(this.#host.clock, delayMs, signal);
      return reply;
    } catch (error) {
      if (running.signal.aborted) return { error: '57014', message: 'canceled by request' };
      return { error: 'XX000', message: `the script threw: ${String(error)}` };
    } finally {
      this.#running = undefined;
    }
  }

  async #find(asked: Asked, signal: AbortSignal): Promise<Reply> {
    const { sql, values, session, processId, status } = asked;
    const scripted = await this.#host.script.answer({ sql, values, session, signal });
    if (scripted !== undefined) return scripted;
    if (status === 'E' && commits(sql)) return { command: 'ROLLBACK' };
    return ownAnswer(sql, values, { ...this.#host.behavior(), processId });
  }
}
