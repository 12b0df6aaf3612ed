import { integer, parseOptions } from '@holdfast/foundation';
import type { IdempotencyLedger } from './idempotency-ledger.ts';

const shape = { maxEntries: integer({ min: 1, max: 100_000_000, default: 100_000 }) };

/**
 * Creates a ledger in this process: covers redeliveries to this process, but no crash and no other process.
 * @param options.maxEntries the number of jobs remembered, the newest; default 100 000.
 * @throws InvalidOptionError
 */
export function memoryLedger(options?: { maxEntries?: number }): IdempotencyLedger {
  const { maxEntries } = parseOptions('memoryLedger', shape, options);
  const known = new Map<string, Promise<void>>();
  return {
    async once({ topic, id }, effect) {
      const key = `${topic}\n${id}`;
      const before = known.get(key);
      if (before !== undefined) {
        await before;
        return 'known';
      }
      const running = effect(undefined);
      known.set(key, running);
      try {
        await running;
      } catch (error) {
        known.delete(key);
        throw error;
      }
      if (known.size > maxEntries) {
        const [oldest] = known.keys();
        if (oldest !== undefined) known.delete(oldest);
      }
      return 'applied';
    },
  };
}
