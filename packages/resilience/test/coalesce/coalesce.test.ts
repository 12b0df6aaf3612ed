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

test('a detached call answers those who wait for it, and later calls start one of their own', async () => {
  const coalescer = createCoalescer<string>();
  const first = Promise.withResolvers<string>();
  let isFirstCurrent = (): boolean => true;
  const before = coalescer.execute('a', (_, isCurrent) => {
    isFirstCurrent = isCurrent;
    return first.promise;
  });
  expect(isFirstCurrent()).toBe(true);
  coalescer.detach('a');
  expect([coalescer.has('a'), isFirstCurrent()]).toEqual([false, false]);
  const after = coalescer.execute('a', () => 'new');
  first.resolve('old');
  expect(await Promise.all([before, after])).toEqual(['old', 'new']);
});

test('a call beyond maxKeys is never current', async () => {
  const coalescer = createCoalescer<boolean>({ maxKeys: 1 });
  const gate = Promise.withResolvers<boolean>();
  const held = coalescer.execute('a', () => gate.promise);
  expect(await coalescer.execute('b', (_, isCurrent) => isCurrent())).toBe(false);
  gate.resolve(true);
  expect(await held).toBe(true);
});

/** A call of which the promise never settles fails the test at once, instead of hanging it. */
async function within<T>(call: Promise<T>): Promise<unknown> {
  const failure = call.catch((error: unknown) => error);
  return Promise.race([failure, new Promise((resolve) => setTimeout(resolve, 2_000, 'hangs'))]);
}

const deadlock = {
  code: 'RESILIENCE_COALESCER_DEADLOCK',
  outcome: 'not-applied',
  retryable: false,
};

test('work that asks for its own key is refused at once, and the key is free afterwards', async () => {
  const coalescer = createCoalescer<string>();
  const asks = [
    () => coalescer.execute('a', () => 'a second one'),
    async () => {
      await Promise.resolve();
      return coalescer.execute('a', () => 'a second one');
    },
    () => coalescer.execute('a', () => 'a', { signal: new AbortController().signal }),
  ];
  for (const ask of asks) {
    expect(await within(coalescer.execute('a', ask))).toMatchObject({ ...deadlock, key: 'a' });
    expect(coalescer.getStats()).toMatchObject({ inFlight: 0, joinedCount: 0 });
  }
  expect(await coalescer.execute('a', () => 'one')).toBe('one');
});

test('keys whose works ask for each other are refused, however long the circle, also of two coalescers', async () => {
  const [first, second] = [createCoalescer<string>(), createCoalescer<string>()];
  const circle = first.execute('a', () =>
    second.execute('b', () =>
      first.execute('c', () => second.execute('d', () => first.execute('a', () => 'x'))),
    ),
  );
  expect(await within(circle)).toMatchObject({ ...deadlock, key: 'a' });
});

test('two calls that join each other’s running work are found out by the one that comes last', async () => {
  const coalescer = createCoalescer<string>();
  const gate = Promise.withResolvers<void>();
  const a = coalescer.execute('a', async () => {
    await gate.promise;
    return coalescer.execute('b', () => 'never started');
  });
  const b = coalescer.execute('b', async () => {
    await gate.promise;
    return coalescer.execute('a', () => 'never started');
  });
  gate.resolve();
  expect(await within(a)).toMatchObject(deadlock);
  expect(await within(b)).toMatchObject(deadlock);
});

test('work may ask for other keys, together and again, and for its own once it is over', async () => {
  const coalescer = createCoalescer<string>();
  const leaf = (): Promise<string> => coalescer.execute('leaf', async () => 'leaf');
  const both = coalescer.execute('a', async () => {
    const [one, two] = await Promise.all([leaf(), coalescer.execute('b', leaf)]);
    return `${one} ${two} ${await leaf()}`;
  });
  expect(await within(both)).toBe('leaf leaf leaf');
  const over = Promise.withResolvers<void>();
  let later: Promise<string> | undefined;
  await coalescer.execute('a', () => {
    later = over.promise.then(() => coalescer.execute('a', () => 'again'));
    return 'over';
  });
  over.resolve();
  expect(await later).toBe('again');
});

test('work that has given up waiting for a key may be waited for by it', async () => {
  const coalescer = createCoalescer<string>();
  const controller = new AbortController();
  const gate = Promise.withResolvers<void>();
  const b = coalescer.execute('b', async () => {
    await gate.promise;
    return coalescer.execute('a', () => 'never started');
  });
  const a = coalescer.execute('a', async () => {
    const { signal } = controller;
    const given = await failureOf(coalescer.execute('b', () => 'never started', { signal }));
    return `b: ${String(given)}`;
  });
  await Promise.resolve();
  controller.abort('given up');
  gate.resolve();
  expect(await within(a)).toBe('b: given up');
  expect(await within(b)).not.toBe('hangs');
});

test('abortAll aborts all shared calls, whoever waits', async () => {
  const coalescer = createCoalescer<string>();
  const calls = ['a', 'b'].map((key) =>
    coalescer.execute(
      key,
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    ),
  );
  const reason = new Error('closed');
  coalescer.abortAll(reason);
  for (const call of calls) expect(await failureOf(call)).toBe(reason);
  expect(coalescer.getStats().inFlight).toBe(0);
});
