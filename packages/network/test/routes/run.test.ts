import { expect, jest, test } from '@jest/globals';
import { CircuitOpenError } from '@holdfast/resilience';
import { createLoadBalancer } from '../../src/index.ts';
import { makeCalls, nodesOf, open, well } from './fixtures.ts';

function failWith(properties: object): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error('failed'), properties));
}
const reset = failWith({ code: 'ECONNRESET' });
const refused = failWith({ code: 'ECONNREFUSED' });

test('an idempotent call that fails at one node is answered by another', async () => {
  const { balancer } = open();
  const asked: string[] = [];
  const answer = await balancer.run(
    async ({ id }, { attempt }) => {
      asked.push(id);
      return attempt === 1 ? reset() : id;
    },
    { idempotent: true },
  );
  expect(new Set(asked).size).toBe(2);
  expect(answer).toBe(asked[1]);
  expect(balancer.getStats().retries).toBe(1);
});

test('a call that may have been sent reaches one node only, unless it is idempotent', async () => {
  const { balancer } = open();
  let calls = 0;
  const call = balancer.run(() => {
    calls += 1;
    return reset();
  });
  await expect(call).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(calls).toBe(1);
});

test.each([
  ['the connection was refused', { code: 'ECONNREFUSED' }],
  [
    'fetch names it as the cause',
    { cause: Object.assign(new Error('c'), { code: 'ECONNREFUSED' }) },
  ],
  ['the error says that it was not applied', { outcome: 'not-applied', code: 'ECONNRESET' }],
  ['each address refused', { errors: [{ code: 'ECONNREFUSED' }, { code: 'EHOSTUNREACH' }] }],
])('a call of which nothing was sent is tried elsewhere: %s', async (_, properties) => {
  const { balancer } = open();
  const answer = await balancer.run(({ id }, { attempt }) =>
    attempt === 1 ? failWith(properties)() : id,
  );
  expect(answer).toMatch(/^node-/);
});

test('an answer 500 is tried elsewhere, and handed over when all nodes give it', async () => {
  const { balancer } = open();
  const canceled: number[] = [];
  const respond = (status: number): object => ({
    status,
    body: { cancel: () => Promise.resolve(void canceled.push(status)) },
  });
  const first = await balancer.run((_, { attempt }) => respond(attempt === 1 ? 500 : 200), {
    idempotent: true,
  });
  expect([first, canceled]).toEqual([{ status: 200, body: expect.anything() }, [500]]);
  const all = await balancer.run((_, { attempt }) => respond(501 + attempt), { idempotent: true });
  expect(all).toMatchObject({ status: 504 });
  expect(canceled).toEqual([500, 502, 503]);
});

test.each([404, 409])(
  'an answer %i is handed over at once, and is no ill health',
  async (status) => {
    const { balancer } = open();
    let calls = 0;
    for (let call = 0; call < 20; call += 1) {
      await balancer.run(
        () => {
          calls += 1;
          return { status };
        },
        { idempotent: true },
      );
    }
    expect(calls).toBe(20);
    expect(balancer.getStats().nodes.every(({ state }) => state === 'healthy')).toBe(true);
  },
);

test('when all attempts fail, the error names each node', async () => {
  const { balancer } = open();
  const call = balancer.run(refused, { idempotent: true });
  await expect(call).rejects.toMatchObject({
    code: 'NETWORK_NODES_FAILED',
    attempts: [{ error: { code: 'ECONNREFUSED' } }, {}, {}],
    cause: { code: 'ECONNREFUSED' },
  });
});

test('the classifier of the caller decides what is ill health', async () => {
  const { balancer } = open({
    strategy: 'round-robin',
    classify: (end) =>
      end.kind === 'returned' && end.value === 'overloaded' ? 'failure' : 'success',
  });
  const answer = await balancer.run((_, { attempt }) => (attempt < 3 ? 'overloaded' : 'fine'), {
    idempotent: true,
  });
  expect(answer).toBe('fine');
  expect(balancer.getStats().nodes.filter(({ failures }) => failures === 1)).toHaveLength(2);
});

test('a classifier that throws is reported, and the default decides', async () => {
  const { balancer } = open({
    classify: () => {
      throw new Error('broken');
    },
  });
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  expect(await balancer.run(() => ({ status: 200 }))).toEqual({ status: 200 });
  expect(await balancer.run(() => ({ status: 200 }))).toEqual({ status: 200 });
  expect(warn.mock.calls).toEqual([
    ['balancer: classify threw Error: broken; the default decides instead'],
  ]);
  warn.mockRestore();
});

test('an attempt that takes too long is tried elsewhere, also if it ignores its signal', async () => {
  const { balancer, clock } = open();
  const answer = balancer.run(
    ({ id }, { attempt }) => (attempt === 1 ? new Promise(() => {}) : id),
    {
      idempotent: true,
      attemptTimeoutMs: 1_000,
    },
  );
  expect(await clock.settle(answer)).toMatch(/^node-/);
  expect(clock.now()).toBe(1_000);
  expect(clock.pendingTimers).toBe(0);
  expect(balancer.getStats().inFlight).toBe(0);
});

test('one deadline covers all attempts', async () => {
  const { balancer, clock } = open();
  const call = balancer.run(() => new Promise(() => {}), {
    idempotent: true,
    timeoutMs: 1_500,
    attemptTimeoutMs: 1_000,
  });
  await expect(clock.settle(call)).rejects.toMatchObject({
    code: 'NETWORK_ROUTE_TIMEOUT',
    timeoutMs: 1_500,
  });
  expect(clock.now()).toBe(1_500);
});

test('the abort of the caller is the error at once, and says nothing about the node', async () => {
  const { balancer } = open();
  const stopping = new AbortController();
  let seen: AbortSignal | undefined;
  const call = balancer.run(
    (_, { signal }) => {
      seen = signal;
      return new Promise(() => {});
    },
    { signal: stopping.signal, idempotent: true },
  );
  stopping.abort(new Error('enough'));
  await expect(call).rejects.toThrow('enough');
  expect(seen?.aborted).toBe(true);
  await Promise.resolve();
  const { inFlight, nodes } = balancer.getStats();
  expect([inFlight, nodes.every(({ failures }) => failures === 0)]).toEqual([0, true]);
});

test('an unusually late idempotent call is also sent to a second node, the loser is aborted', async () => {
  const { balancer, clock } = open();
  makeCalls(balancer, 100, well);
  const signals: AbortSignal[] = [];
  const answer = balancer.run(
    (_, { signal, attempt }) => {
      signals.push(signal);
      return attempt === 1 ? new Promise(() => {}) : 'second';
    },
    { idempotent: true },
  );
  expect(await clock.settle(answer)).toBe('second');
  expect(clock.now()).toBeLessThan(50);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(balancer.getStats()).toMatchObject({ hedges: 1, inFlight: 0 });
});

test('a node that never answers is ejected, although each of its calls was answered by another in time', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin' });
  makeCalls(balancer, 100, well);
  for (let call = 0; call < 20; call += 1) {
    const answer = balancer.run(({ id }) => (id === 'node-1' ? new Promise(() => {}) : id), {
      idempotent: true,
    });
    expect(await clock.settle(answer)).not.toBe('node-1');
  }
  expect(balancer.getStats().nodes[1]).toMatchObject({ state: 'ejected', inFlight: 0 });
  expect(clock.now()).toBeLessThan(1_000);
});

test('at most one call in ten is sent a second time', async () => {
  const { balancer, clock } = open({ hedgeAfterMs: 5 });
  for (let call = 0; call < 200; call += 1) {
    const answer = balancer.run(
      (_, { attempt }) =>
        new Promise((resolve) => void clock.schedule(attempt === 1 ? 50 : 50, () => resolve(1))),
      { idempotent: true },
    );
    await clock.settle(answer);
  }
  expect(balancer.getStats().hedges).toBeLessThanOrEqual(31);
  expect(balancer.getStats().hedges).toBeGreaterThan(5);
});

test('a call that is not idempotent is never sent a second time, and never probes', async () => {
  const { balancer, clock } = open({ hedgeAfterMs: 1, nodes: nodesOf(4), strategy: 'round-robin' });
  makeCalls(balancer, 20, well);
  makeCalls(balancer, 20, (id) => ({ outcome: id === 'node-1' ? 'failure' : 'success' }));
  await clock.advance(7_000);
  for (let call = 0; call < 20; call += 1) {
    expect(await balancer.run(({ id }) => id)).not.toBe('node-1');
  }
  expect(await balancer.run(({ id }) => id, { idempotent: true })).toBe('node-1');
  expect(balancer.getStats().hedges).toBe(0);
});

test('a session is served by its node, and by another one when that fails', async () => {
  const { balancer } = open({ strategy: 'least-connections' });
  const serve = async (): Promise<string> => balancer.run(({ id }) => id, { sessionId: 'alice' });
  const home = await serve();
  expect(await serve()).toBe(home);
  const away = await balancer.run(({ id }) => (id === home ? reset() : id), {
    sessionId: 'alice',
    idempotent: true,
  });
  expect(away).not.toBe(home);
});

test('an error of the own code is thrown as it is, and blames no node', async () => {
  const { balancer } = open();
  const mistake = new TypeError('undefined is not a function');
  const call = balancer.run(
    () => {
      throw mistake;
    },
    { idempotent: true },
  );
  await expect(call).rejects.toBe(mistake);
  expect(balancer.getStats().nodes.every(({ failures }) => failures === 0)).toBe(true);
});

test('a load balancer distributes requests by service and session', async () => {
  const balancers = createLoadBalancer({
    services: {
      auth: { nodes: nodesOf(3), strategy: 'least-connections' },
      empty: { nodes: [] },
    },
  });
  const serve = (sessionId: string): Promise<string> =>
    balancers.distributeRequest('auth', (instance) => instance.id, { sessionId });
  expect(await serve('alice')).toBe(await serve('alice'));
  await expect(balancers.distributeRequest('mail', () => 1)).rejects.toMatchObject({
    code: 'NETWORK_SERVICE_NOT_FOUND',
    message: /"mail".*auth, empty/,
  });
  await expect(balancers.distributeRequest('empty', () => 1)).rejects.toMatchObject({
    code: 'NETWORK_NO_HEALTHY_INSTANCES',
    service: 'empty',
  });
  await balancers.close();
  await expect(serve('alice')).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
});

test.each([
  ['an answer 429', { status: 429 }, undefined],
  ['an error with the status 429', undefined, failWith({ status: 429, retryAfterMs: 60_000 })],
])(
  '%s is tried at another node when the call may be repeated, and is no ill health',
  async (_, answer, fail) => {
    const { balancer } = open();
    let calls = 0;
    const call = (idempotent: boolean): Promise<unknown> =>
      balancer.run(
        (__, { attempt }) => {
          calls += 1;
          if (attempt > 1) return 'answered';
          return fail === undefined ? answer : fail();
        },
        { idempotent },
      );
    for (let count = 0; count < 20; count += 1) expect(await call(true)).toBe('answered');
    expect(calls).toBe(40);
    expect(balancer.getStats().nodes.every(({ state }) => state === 'healthy')).toBe(true);
    const once = await call(false).catch((error: unknown) => error);
    expect(once).toMatchObject({ status: 429 });
    expect(calls).toBe(41);
  },
);

test('when each node asks to wait, the error says how long at least', async () => {
  const { balancer } = open();
  const call = balancer.run(
    (_, { attempt }) => failWith({ status: 429, retryAfterMs: 1_000 * attempt })(),
    { idempotent: true },
  );
  await expect(call).rejects.toMatchObject({ code: 'NETWORK_NODES_FAILED', retryAfterMs: 1_000 });
  const answers = await balancer.run(() => ({ status: 429 }), { idempotent: true });
  expect(answers).toEqual({ status: 429 });
});

test('a call that the circuit of one node refuses goes to another, whatever it does', async () => {
  const { balancer } = open();
  const refuse = (): Promise<never> =>
    Promise.reject(
      new CircuitOpenError({
        name: 'a',
        key: undefined,
        cause: undefined,
        state: 'open',
        retryAfterMs: 1,
      }),
    );
  expect(await balancer.run((_, { attempt }) => (attempt === 1 ? refuse() : 'answered'))).toBe(
    'answered',
  );
});
