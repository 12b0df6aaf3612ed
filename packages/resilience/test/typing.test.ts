import { expect, test } from '@jest/globals';
import {
  type CallOutcome,
  createCircuitBreaker,
  createResilienceStack,
  retry,
} from '@holdfast/resilience';

// What stands here is judged by the type checker: an assignment that does not hold stops the build.

test('the result has the type of the work, and a fallback adds its own', async () => {
  const stack = createResilienceStack({ circuitBreaker: {} });
  const live: number = await stack.execute(async () => 1);
  const keyed: number = await stack.execute('key', () => 1);
  const fallen: number | null = await stack.execute('key', async () => 1, { fallbackValue: null });
  const kept: string = await stack.execute(async (signal) => String(signal.aborted), {
    cachedValue: { value: 'kept', timestamp: 0 },
  });
  const tried: CallOutcome<number> = await createCircuitBreaker().tryExecute(async () => 1);
  const retried: number = await retry((signal, attemptNumber) =>
    signal.aborted ? 0 : attemptNumber,
  );
  expect({ live, keyed, fallen, kept, tried, retried }).toEqual({
    live: 1,
    keyed: 1,
    fallen: 1,
    kept: 'false',
    tried: { kind: 'value', value: 1 },
    retried: 1,
  });
});

test('a given signal reaches the work; without one the work takes none', async () => {
  const breaker = createCircuitBreaker();
  const { signal } = new AbortController();
  const seen: AbortSignal = await breaker.execute((given) => given, { signal });
  expect(seen).toBe(signal);
  const none: string = await breaker.execute(() => 'none');
  expect(none).toBe('none');
});
