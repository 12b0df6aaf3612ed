import { expect, test } from '@jest/globals';
import { type ChaosFaultInjector, createChaosFaultInjector } from '@holdfast/faults';
import { type Random, seededRandom, sleep } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Command, Redis } from 'ioredis';
import { closeAfterTest } from '../close-after-test.ts';
import { openScriptedRedis } from '../protocol/scripted-redis.ts';

const OPERATIONS = Array.from({ length: 20 }, (_, index) => `order-${index}`);

type Make = (chaos: ChaosFaultInjector, operation: string) => () => Promise<unknown>;

/** Operations run side by side and retry with jitter; returns how many attempts each took, and the hash. */
async function run(make: Make, jitter: Random, seed = 7) {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { seed, clock });
  chaos.configureFault('network_failure', { probability: 0.5 });
  const attempts: Record<string, number> = {};
  const retrying = OPERATIONS.map(async (operation) => {
    const call = make(chaos, operation);
    for (let attempt = 1; ; attempt += 1) {
      attempts[operation] = attempt;
      const isDone = await call().then(
        () => true,
        () => false,
      );
      if (isDone) return;
      await sleep(clock, jitter() * 100);
    }
  });
  await clock.settle(Promise.all(retrying));
  return { attempts, hash: chaos.decisions().hash };
}

const byKey: Record<string, Make> = {
  execute: (chaos, key) => () => chaos.execute(() => 'done', { key }),
  wrap: (chaos, key) => {
    const call = chaos.wrap(async (name: string) => name, { key: (name) => name });
    return () => call(key);
  },
  fetch: (chaos, key) => {
    const call = chaos.fetch(async () => new Response('done'), { key: () => key });
    return () => call(`http://nowhere/${key}`);
  },
  wrapPg: (chaos, key) => {
    const client = {
      query: async (sql: string, values: string[]) => ({ rows: [sql, ...values] }),
      connect: async () => {},
    };
    const wrapped = chaos.wrapPg(client, {
      key: (sql, values) => `${String(sql)} ${String(values)}`,
    });
    return () => wrapped.query('update orders', [key]);
  },
  wrapRedis: (chaos, key) => {
    const client = { getBuiltinCommands: () => ['get'], get: async (name: string) => name };
    const wrapped = chaos.wrapRedis(client, {
      key: (command, name) => `${String(command)} ${String(name)}`,
    });
    return () => wrapped.get(key);
  },
  wrapAws: (chaos, key) => {
    const client = { send: async (command: { name: string }) => command };
    const wrapped = chaos.wrapAws(client, {
      key: (command) => String(Reflect.get(Object(command), 'name')),
    });
    return () => wrapped.send({ name: key });
  },
};

test.each(Object.entries(byKey))(
  'with a key, %s decides the same for an operation whatever the jitter of retries',
  async (_, make) => {
    const first = await run(make, seededRandom(1));
    for (let jitter = 2; jitter <= 20; jitter += 1) {
      expect(await run(make, seededRandom(jitter))).toEqual(first);
    }
    expect(await run(make, seededRandom(1), 8)).not.toEqual(first);
    expect(new Set(Object.values(first.attempts)).size).toBeGreaterThan(1);
  },
);

test('without a key the number of the call decides, so that jitter can change who is struck', async () => {
  const make: Make = (chaos) => () => chaos.execute(() => 'done');
  const outcomes = new Set<string>();
  for (let jitter = 1; jitter <= 20; jitter += 1) {
    outcomes.add(JSON.stringify((await run(make, seededRandom(jitter))).attempts));
  }
  expect(outcomes.size).toBeGreaterThan(1);
});

test('an injected error names its key and the number of the call with it', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 3 });
  chaos.configureFault('network_failure');
  await chaos.execute(() => 1, { key: 'other' }).catch(() => {});
  await chaos.execute(() => 1, { key: 'order-17' }).catch(() => {});
  const call = chaos.execute(() => 1, { key: 'order-17' });
  await expect(call).rejects.toMatchObject({
    message: 'ECONNREFUSED (injected: network_failure, call 2 of order-17, seed 3)',
    injection: { callNumber: 3, key: 'order-17', keyedCall: 2 },
  });
});

test('as often as stated, calls with keys are struck', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 11 });
  chaos.configureFault('network_failure', { probability: 0.3 });
  let struck = 0;
  for (let call = 0; call < 10_000; call += 1) {
    await chaos.execute(() => 1, { key: `order-${call}` }).catch(() => (struck += 1));
  }
  // Three standard deviations of a binomial distribution.
  expect(Math.abs(struck - 3_000)).toBeLessThan(3 * Math.sqrt(10_000 * 0.3 * 0.7));
});

test('a key of ioredis names each way of a command by its name and arguments', async () => {
  const server = await openScriptedRedis();
  const client = new Redis({ port: server.port, enableReadyCheck: false });
  const close = async (): Promise<void> => {
    client.disconnect();
    server.close();
  };
  closeAfterTest({ [Symbol.asyncDispose]: close });
  const chaos = createChaosFaultInjector(true, { seed: 3 });
  const wrapped = chaos.wrapRedis(client, { key: (...operation) => JSON.stringify(operation) });
  chaos.configureFault('network_failure');
  const keys = new Set<unknown>();
  const calls = [
    () => wrapped.set('k', '1'),
    () => wrapped.call('set', 'k', '1'),
    () => wrapped.sendCommand(new Command('set', ['k', '1'])),
    () => wrapped.pipeline().set('k', '1').exec(),
  ];
  for (const call of calls) {
    const failure: unknown = await Promise.resolve(call()).catch((error: unknown) => error);
    keys.add(Reflect.get(Object(Reflect.get(Object(failure), 'injection')), 'key'));
  }
  expect([...keys].map(String)).toEqual(['["set","k","1"]', '["exec",["set","k","1"]]']);
});
