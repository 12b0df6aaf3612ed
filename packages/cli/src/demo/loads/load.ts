import { type Clock, type Random, propertyOf, sleep } from '@holdfast/foundation';
import type { DemoLedger } from '../ledger.ts';

/** Users of one adapter, who hand over jobs, rows or objects whatever the server does. */
export interface Load {
  /** What it hands over, such as `jobs`. */
  readonly unit: string;
  readonly ledger: DemoLedger;
  /** Hands one over; rejects when it is not accepted. @returns whether the server itself has it. */
  handOver(number: number): Promise<boolean>;
  /**
   * Waits until what was accepted had its time to arrive, then looks for everything.
   * @returns how often each number was found.
   */
  find(signal: AbortSignal): Promise<ReadonlyMap<number, number>>;
  close(): Promise<void>;
}

/** Beyond this number of unanswered calls, users come back later. */
const MAX_WAITING = 500;

/** Hands over at a rate, without waiting for answers, until the signal aborts; resolves when all are answered. */
export async function offer(
  load: Load,
  { ratePerSecond, clock, random }: { ratePerSecond: number; clock: Clock; random: Random },
  signal: AbortSignal,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  while (!signal.aborted) {
    if (load.ledger.waiting < MAX_WAITING) {
      const call = handOver(load).finally(() => underWay.delete(call));
      underWay.add(call);
    }
    const pauseMs = (2 * random() * 1_000) / ratePerSecond;
    await sleep(clock, pauseMs, signal).catch(() => undefined);
  }
  await Promise.all(underWay);
}

async function handOver(load: Load): Promise<void> {
  const { ledger } = load;
  const number = ledger.next();
  try {
    ledger.accept(number, await load.handOver(number));
  } catch (error) {
    const isNotApplied = propertyOf(error, 'outcome') === 'not-applied';
    ledger.reject(number, isNotApplied, reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  const reason = propertyOf(error, 'sqlState') ?? propertyOf(error, 'code');
  return typeof reason === 'string' ? reason : 'an error';
}
