import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { createCoalescer } from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

test('calls with one key share one execution, calls with another key have their own', async () => {
  const coalescer = createCoalescer<string>();
  let flights = 0;
  const fly = async () => `flight ${(flights += 1)}`;
  const answers = await Promise.all([
    coalescer.execute('a', fly),
    coalescer.execute('a', fly),
    coalescer.execute('b', fly),
    coalescer.execute('a', fly),
  ]);
  expect(answers).toEqual(['flight 1', 'flight 1', 'flight 2', 'flight 1']);
  expect(coalescer.getStats()).toEqual({ inFlight: 0, joinedCount: 2, overflowCount: 0 });
  expect(await coalescer.execute('a', fly)).toBe('flight 3');
});

test('a failure rejects every joined caller and is not kept', async () => {
  const coalescer = createCoalescer<string>();
  const broken = new Error('down');
  const throwing = () => {
    throw broken;
  };
  const calls = [coalescer.execute('a', throwing), coalescer.execute('a', throwing)];
  for (const call of calls) expect(await failureOf(call)).toBe(broken);
  expect(await coalescer.execute('a', () => 'up')).toBe('up');
});

test('the abort of one caller rejects only that caller', async () => {
  const coalescer = createCoalescer<string>();
  const flight = Promise.withResolvers<string>();
  const [first, second] = [new AbortController(), new AbortController()];
  let flightSignal: AbortSignal | undefined;
  const starter = coalescer.execute(
    'a',
    (signal) => {
      flightSignal = signal;
      return flight.promise;
    },
    { signal: first.signal },
  );
  const joiner = coalescer.execute('a', () => 'own', { signal: second.signal });
  const reason = new Error('the user left');
  first.abort(reason);
  expect(await failureOf(starter)).toBe(reason);
  expect(flightSignal?.aborted).toBe(false);
  flight.resolve('landed');
  expect(await joiner).toBe('landed');
});

test('the execution is aborted with its last caller, and a later call starts a new one', async () => {
  const coalescer = createCoalescer<string>();
  const flight = Promise.withResolvers<string>();
  const controllers = [new AbortController(), new AbortController()];
  let flightSignal: AbortSignal | undefined;
  const waiters = controllers.map(({ signal }) =>
    failureOf(
      coalescer.execute(
        'a',
        (own) => {
          flightSignal = own;
          return flight.promise;
        },
        { signal },
      ),
    ),
  );
  controllers[0]?.abort(new Error('first'));
  expect(flightSignal?.aborted).toBe(false);
  controllers[1]?.abort(new Error('last'));
  expect(flightSignal?.reason).toEqual(new Error('last'));
  expect(await Promise.all(waiters)).toEqual([new Error('first'), new Error('last')]);
  const second = Promise.withResolvers<string>();
  const newcomer = coalescer.execute('a', () => second.promise);
  // The abandoned flight lands late and must not take the new one's key away.
  flight.resolve('late');
  await flight.promise;
  const joiner = coalescer.execute('a', () => 'a third one');
  second.resolve('new');
  expect(await Promise.all([newcomer, joiner])).toEqual(['new', 'new']);
});

test('a caller without a signal keeps the execution running', async () => {
  const coalescer = createCoalescer<string>();
  const flight = Promise.withResolvers<string>();
  const controller = new AbortController();
  const steady = coalescer.execute('a', (signal) => {
    signal.addEventListener('abort', () => flight.reject(signal.reason));
    return flight.promise;
  });
  const leaving = coalescer.execute('a', () => 'own', { signal: controller.signal });
  controller.abort(new Error('left'));
  expect(await failureOf(leaving)).toEqual(new Error('left'));
  flight.resolve('landed');
  expect(await steady).toBe('landed');
});

test('an abort after the result aborts nothing', async () => {
  const coalescer = createCoalescer<AbortSignal>();
  const controller = new AbortController();
  const flown = await coalescer.execute('a', (signal) => signal, { signal: controller.signal });
  controller.abort();
  expect(flown.aborted).toBe(false);
});

test('beyond maxKeys calls run alone and no key is kept', async () => {
  const coalescer = createCoalescer<number>({ maxKeys: 2 });
  const gate = Promise.withResolvers<number>();
  const calls = Array.from({ length: 5 }, (_, key) =>
    coalescer.execute(String(key), () => gate.promise),
  );
  expect(coalescer.getStats()).toEqual({ inFlight: 2, joinedCount: 0, overflowCount: 3 });
  gate.resolve(1);
  expect(await Promise.all(calls)).toEqual([1, 1, 1, 1, 1]);
  expect(coalescer.getStats().inFlight).toBe(0);
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const coalescer = createCoalescer<number>();
  const { signal } = new AbortController();
  for (let call = 0; call < 100; call += 1) {
    await coalescer.execute(String(call % 3), async () => call, { signal });
  }
  await Promise.all(
    Array.from({ length: 10 }, () =>
      failureOf(coalescer.execute('a', () => Promise.reject(new Error('x')), { signal })),
    ),
  );
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('an aborted signal starts and joins nothing', async () => {
  const coalescer = createCoalescer<number>();
  const signal = AbortSignal.abort(new Error('gone before'));
  let called = false;
  const call = coalescer.execute('a', () => ((called = true), 1), { signal });
  expect(await failureOf(call)).toBe(signal.reason);
  expect(called).toBe(false);
  expect(coalescer.getStats().inFlight).toBe(0);
});

test('options out of range are refused', () => {
  for (const maxKeys of [0, -1, NaN, 1.5, Infinity]) {
    expect(() => createCoalescer({ maxKeys })).toThrow(InvalidOptionError);
  }
});
