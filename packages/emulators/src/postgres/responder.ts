import { type Clock, abortable, sleep } from '@holdfast/foundation';
import type { BoundValue, TransactionIndicator } from '@holdfast/protocols/postgres';
import type { FakeBehavior } from './behavior.ts';
import { builtinReply } from './builtin-statements.ts';
import type { FakeReply, Script } from './script.ts';
import { commits } from './transaction-status.ts';

/** A reply that is sent. */
export type FinalReply = Exclude<FakeReply, 'never'>;

export interface ResponderDeps {
  readonly clock: Clock;
  readonly script: Script;
  readonly behavior: FakeBehavior;
}

/** A statement and the state of its session. */
export interface Query {
  readonly sql: string;
  readonly values: readonly BoundValue[];
  readonly session: number;
  readonly processId: number;
  readonly status: TransactionIndicator;
}

/** Finds the replies for one session, one at a time, after their delay; each statement can be cancelled. */
export class Responder {
  readonly #deps: ResponderDeps;
  #running: AbortController | undefined;

  constructor(deps: ResponderDeps) {
    this.#deps = deps;
  }

  /** Cancels the statement under way, if any. */
  cancel(): void {
    this.#running?.abort();
  }

  async replyTo(query: Query): Promise<FinalReply> {
    const running = new AbortController();
    const { signal } = running;
    this.#running = running;
    try {
      const reply = await abortable(this.#find(query, signal), signal);
      if (reply === 'never') return await abortable(new Promise<never>(() => undefined), signal);
      const delayMs = this.#deps.behavior.replyDelayMs + (reply.delayMs ?? 0);
      if (delayMs > 0) await sleep(this.#deps.clock, delayMs, signal);
      return reply;
    } catch (error) {
      if (signal.aborted) return { error: '57014', message: 'canceled by request' };
      return { error: 'XX000', message: `the script threw: ${String(error)}` };
    } finally {
      this.#running = undefined;
    }
  }

  async #find(query: Query, signal: AbortSignal): Promise<FakeReply> {
    const { sql, values, session, processId, status } = query;
    const scripted = await this.#deps.script.replyTo({ sql, values, session, signal });
    if (scripted !== undefined) return scripted;
    if (status === 'E' && commits(sql)) return { command: 'ROLLBACK' };
    return builtinReply(sql, values, { ...this.#deps.behavior, processId });
  }
}
