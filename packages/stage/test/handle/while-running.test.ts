import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import type { ServerHandle } from '../../src/handle/handle.ts';
import { whileRunning } from '../../src/handle/while-running.ts';

/** A handle of which only the name and the state are asked. */
function handleIn(state: ServerHandle['state']): ServerHandle {
  const known = { name: 'postgres.replica', state };
  return new Proxy(Object.create(null), { get: (_, key) => Reflect.get(known, key) });
}

const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), {
  code: 'ECONNREFUSED',
});

test.each(['stopped', 'frozen'] as const)(
  'a server that is %s is not asked, and the error names it and its state',
  async (state) => {
    let isAsked = false;
    const ask = async (): Promise<void> => void (isAsked = true);
    const asking = whileRunning(handleIn(state), 'promote', undefined, ask);
    await expect(asking).rejects.toMatchObject({
      code: 'STAGE_STATE',
      server: 'postgres.replica',
      verb: 'promote',
      state,
      outcome: 'not-applied',
      message: `postgres.replica.promote() needs the server to be running, but it is ${state}`,
    });
    expect(isAsked).toBe(false);
  },
);

test('a server that ends while it is asked is named with its state, and the error of the socket is the cause', async () => {
  const asking = whileRunning(handleIn('running'), 'promote', undefined, () =>
    Promise.reject(refused),
  );
  await expect(asking).rejects.toMatchObject({
    code: 'STAGE_SERVER_UNREACHABLE',
    server: 'postgres.replica',
    state: 'running',
    outcome: 'unknown',
    cause: refused,
    message: expect.stringContaining('could not ask postgres.replica, which is running'),
  });
});

test('errors of the stage and the reason of the caller pass unchanged', async () => {
  const own = new InvalidOptionError('createDatabase', 'name', 5, 'a string');
  const server = handleIn('running');
  await expect(whileRunning(server, 'x', undefined, () => Promise.reject(own))).rejects.toBe(own);
  const signal = AbortSignal.abort('enough');
  const aborted = whileRunning(server, 'x', signal, () => Promise.reject(signal.reason));
  await expect(aborted).rejects.toBe('enough');
  expect(await whileRunning(server, 'x', undefined, async () => 'rows')).toBe('rows');
});
