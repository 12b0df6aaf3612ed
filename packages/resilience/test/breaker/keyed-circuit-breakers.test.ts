import { expect, test } from '@jest/globals';
import { createKeyedCircuitBreakers, createResilienceStack } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';

const failure = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

test('each key has its own circuit, and the failures of one do not touch another', async () => {
  const circuits = createKeyedCircuitBreakers({ failureThreshold: 1, clock: createFakeClock() });
  await circuits.get('wi').tryExecute(() => Promise.reject(failure));
  expect(circuits.get('wi').state).toBe('open');
  expect(circuits.get('mn').state).toBe('closed');
  expect(circuits.notClosed().map((circuit) => circuit.getStats().key)).toEqual(['wi']);
  expect(Array.from(circuits.kept(), (circuit) => circuit.getStats().state)).toEqual([
    'open',
    'closed',
  ]);
});

test.each([undefined, null, 7])('the key %s is refused by name, also as the first one', (key) => {
  const circuits = createKeyedCircuitBreakers();
  const stack = createResilienceStack({ circuitBreaker: {} });
  const refusal = 'circuitBreakers.get: key must be a string';
  for (const get of [circuits.get.bind(circuits), circuits.get.bind(circuits)]) {
    expect(() => Reflect.apply(get, undefined, [key])).toThrow(refusal);
    circuits.get('known');
  }
  const ofStack = Reflect.get(Object(stack.circuitBreakers), 'get');
  expect(() => Reflect.apply(ofStack, stack.circuitBreakers, [key])).toThrow(refusal);
  expect(circuits.getStats().keys).toBe(1);
});

test('with a million distinct keys maxKeys holds and no open circuit is evicted', async () => {
  const maxKeys = 1_000;
  const circuits = createKeyedCircuitBreakers({
    failureThreshold: 1,
    maxKeys,
    clock: createFakeClock(),
  });
  const opened = Array.from({ length: 100 }, (_, index) => `open-${index}`);
  for (const key of opened) await circuits.get(key).tryExecute(() => Promise.reject(failure));
  for (let index = 0; index < 1_000_000; index += 1) circuits.get(`key-${index}`);
  expect(circuits.getStats()).toEqual({
    keys: maxKeys,
    notClosed: 100,
    evictedCount: 1_000_000 - (maxKeys - 100),
    untrackedCount: 0,
  });
  for (const key of opened) expect(circuits.get(key).state).toBe('open');
});

test('the least recently used closed circuit is evicted', async () => {
  const circuits = createKeyedCircuitBreakers({ maxKeys: 2, clock: createFakeClock() });
  const first = circuits.get('first');
  const second = circuits.get('second');
  circuits.get('first');
  circuits.get('third');
  expect(circuits.get('first')).toBe(first);
  expect(circuits.get('second')).not.toBe(second);
});

test('when no circuit is closed a new key gets one of its own that is not kept', async () => {
  const circuits = createKeyedCircuitBreakers({
    failureThreshold: 1,
    maxKeys: 2,
    clock: createFakeClock(),
  });
  for (const key of ['a', 'b', 'c']) {
    await circuits.get(key).tryExecute(() => Promise.reject(failure));
  }
  expect(circuits.getStats()).toMatchObject({ keys: 2, notClosed: 2, untrackedCount: 1 });
  expect(await circuits.get('d').execute(async () => 'ok')).toBe('ok');
});

test('a circuit that opens after its eviction is kept again', async () => {
  const circuits = createKeyedCircuitBreakers({
    failureThreshold: 1,
    maxKeys: 1,
    clock: createFakeClock(),
  });
  const slow = circuits.get('slow');
  const { promise, reject } = Promise.withResolvers<never>();
  const call = slow.tryExecute(() => promise);
  circuits.get('other');
  reject(failure);
  await call;
  expect(circuits.get('slow')).toBe(slow);
  expect(circuits.getStats()).toMatchObject({ keys: 1, notClosed: 1 });
});

test('a circuit that closes again may be evicted, and reset closes and forgets all', async () => {
  const clock = createFakeClock();
  const circuits = createKeyedCircuitBreakers({
    failureThreshold: 1,
    openDurationMs: 10,
    maxKeys: 1,
    clock,
  });
  const heard: string[] = [];
  circuits.on('stateChanged', ({ key, to }) => heard.push(`${key} ${to}`));
  await circuits.get('a').tryExecute(() => Promise.reject(failure));
  await clock.advance(10);
  await circuits.get('a').execute(async () => 'ok');
  circuits.get('b');
  expect(circuits.getStats()).toMatchObject({ keys: 1, notClosed: 0, evictedCount: 1 });
  await circuits.get('b').tryExecute(() => Promise.reject(failure));
  circuits.reset();
  expect(heard).toEqual(['a open', 'a half-open', 'a closed', 'b open', 'b closed']);
  expect(circuits.getStats()).toMatchObject({ keys: 0, notClosed: 0 });
});
