import { afterEach, expect, test } from '@jest/globals';
import type { Durable, DurableRunner, RunFunctions } from './durable.ts';

/**
 * The promises of every runner as Jest tests; call it once for each, inside its `describe`.
 *
 * @param open opens a runner on the same empty store each time within one test; the one before is closed by then.
 */
export function honoursDurableContract(
  open: (functions: RunFunctions) => Promise<DurableRunner>,
): void {
  const opened: DurableRunner[] = [];
  const tracked: Open = async (functions) => {
    const runner = await open(functions);
    opened.push(runner);
    return runner;
  };
  afterEach(async () => {
    for (const runner of opened.splice(0)) await runner.close();
  });
  honoursStart(tracked);
  honoursRestart(tracked);
  honoursCancel(tracked);
  honoursSteps(tracked);
  honoursMessages(tracked);
}

type Open = (functions: RunFunctions) => Promise<DurableRunner>;

let ids = 0;
const nextId = (): string => `contract-${process.pid}-${(ids += 1)}`;

/** A promise and what settles it. */
const signalled = (): { readonly reached: Promise<void>; readonly reach: () => void } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { reached: promise, reach: () => resolve() };
};

function honoursStart(open: Open): void {
  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a run is started once for each id, and refuses another input', async () => {
    let calls = 0;
    const runner = await open({
      double: async (context, value: number) =>
        context.step('double', async () => {
          calls += 1;
          return value * 2;
        }),
      other: async () => null,
    });
    const runId = nextId();
    await Promise.all([runner.start('double', 4, { runId }), runner.start('double', 4, { runId })]);
    expect(await runner.result(runId)).toBe(8);
    await runner.start('double', 4, { runId });
    expect(await runner.result(runId)).toBe(8);
    expect(calls).toBe(1);
    await expect(runner.start('double', 5, { runId })).rejects.toMatchObject({
      code: 'DURABLE_RUN_CONFLICT',
    });
    await expect(runner.start('other', 4, { runId })).rejects.toMatchObject({
      code: 'DURABLE_RUN_CONFLICT',
    });
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('an unknown function, an unknown run and an input that JSON changes are refused', async () => {
    const runner = await open({ nothing: async () => null });
    const runId = nextId();
    const refused = { code: 'DURABLE_UNKNOWN_FUNCTION' };
    await expect(runner.start('missing', null, { runId })).rejects.toMatchObject(refused);
    const unknown = { code: 'DURABLE_UNKNOWN_RUN' };
    await expect(runner.result(runId)).rejects.toMatchObject(unknown);
    await expect(runner.send(runId, 'topic', 1)).rejects.toMatchObject(unknown);
    await expect(runner.cancel(runId)).rejects.toMatchObject(unknown);
    await expect(runner.start('nothing', Number.NaN, { runId })).rejects.toMatchObject({
      code: 'DURABLE_VALUE_NOT_KEPT',
    });
    expect(await runner.list({ name: 'missing' })).toEqual([]);
  });
}

function honoursRestart(open: Open): void {
  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a run that is closed away goes on in the next runner, and does no finished step again', async () => {
    const calls: string[] = [];
    const { reached, reach } = signalled();
    let isSecond = false;
    const functions: RunFunctions = {
      two: async (context, input: string) => {
        const first = await context.step('first', async ({ fence }) => {
          calls.push('first');
          return `${input} ${fence > 0n}`;
        });
        const second = await context.step('second', async ({ signal, idempotencyKey }) => {
          calls.push(`second ${idempotencyKey === `${context.runId}/second`}`);
          reach();
          if (isSecond) return 'done';
          return new Promise<string>((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
          });
        });
        return [first, second];
      },
    };
    const runId = nextId();
    const before = await open(functions);
    await before.start('two', 'a', { runId });
    await reached;
    isSecond = true;
    await before.close();
    await before.close();
    await expect(before.start('two', 'a', { runId })).rejects.toMatchObject({
      code: 'DURABLE_RUNNER_CLOSED',
    });
    const after = await open(functions);
    expect(await after.result(runId)).toEqual(['a true', 'done']);
    expect(calls).toEqual(['first', 'second true', 'second true']);
  });
}

function honoursCancel(open: Open): void {
  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a cancelled run aborts its step, does no further one and stays cancelled', async () => {
    const { reached, reach } = signalled();
    const aborted = signalled();
    let isAfterwards = false;
    const runner = await open({
      long: async (context) => {
        await context.step('waits', async ({ signal }) => {
          reach();
          return new Promise<null>((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted.reach();
              reject(signal.reason);
            });
          });
        });
        return context.step('afterwards', async () => (isAfterwards = true));
      },
    });
    const runId = nextId();
    await runner.start('long', null, { runId });
    await reached;
    expect(await runner.cancel(runId)).toBe(true);
    await aborted.reached;
    await expect(runner.result(runId)).rejects.toMatchObject({ code: 'DURABLE_RUN_CANCELLED' });
    expect(await runner.cancel(runId)).toBe(false);
    expect(await runner.list({ state: 'cancelled' })).toMatchObject([{ runId, name: 'long' }]);
    expect(isAfterwards).toBe(false);
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('an abort ends the wait for a result with its own reason, and not the run', async () => {
    const runner = await open({
      asks: async (context) => (await context.receive('answer', { timeoutMs: 60_000 })) ?? null,
    });
    const runId = nextId();
    await runner.start('asks', null, { runId });
    const controller = new AbortController();
    const waiting = runner.result(runId, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await runner.send(runId, 'answer', 'yes');
    expect(await runner.result(runId)).toBe('yes');
  });
}

function honoursSteps(open: Open): void {
  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a step is tried as often as it may be, and then fails with what is stored of its error', async () => {
    const attempts: number[] = [];
    const runner = await open({
      fails: async (context) => {
        const options = { maxAttempts: 3, initialDelayMs: 1 };
        try {
          await context.step(
            'breaks',
            async ({ attempt }) => {
              attempts.push(attempt);
              throw Object.assign(new TypeError('no luck'), { code: 'E_LUCK' });
            },
            options,
          );
        } catch (error) {
          if (!(error instanceof Error) || !('failure' in error)) throw error;
          return JSON.parse(JSON.stringify(error.failure));
        }
        return null;
      },
      fatal: async (context) =>
        context.step('breaks', async () => {
          throw new Error('postgres://user:secret@host failed');
        }),
    });
    const [runId, fatalId] = [nextId(), nextId()];
    await runner.start('fails', null, { runId });
    const failure = { name: 'TypeError', message: 'no luck', code: 'E_LUCK' };
    expect(await runner.result(runId)).toEqual(failure);
    expect(attempts).toEqual([1, 2, 3]);
    await runner.start('fatal', null, { runId: fatalId });
    const ended = await runner.result(fatalId).catch((error: unknown) => error);
    expect(ended).toMatchObject({ code: 'DURABLE_RUN_FAILED' });
    expect(String(ended)).not.toContain('secret');
    expect(await runner.list({ state: 'failed' })).toMatchObject([{ runId: fatalId }]);
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a step that hangs is aborted at its timeout', async () => {
    const runner = await open({
      hangs: async (context) =>
        context.step('hangs', async () => new Promise<null>(() => {}), { timeoutMs: 20 }),
    });
    const runId = nextId();
    await runner.start('hangs', null, { runId });
    await expect(runner.result(runId)).rejects.toMatchObject({
      failure: { code: 'DURABLE_STEP_FAILED', message: expect.stringContaining('20 ms') },
    });
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('two steps of one name fail the run', async () => {
    const runner = await open({
      twice: async (context) => {
        await context.step('same', async () => 1);
        return context.step('same', async () => 2);
      },
    });
    const runId = nextId();
    await runner.start('twice', null, { runId });
    await expect(runner.result(runId)).rejects.toMatchObject({
      failure: { code: 'DURABLE_STEP_CONFLICT' },
    });
  });
}

function honoursMessages(open: Open): void {
  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('messages arrive once each, in their order, by topic, also those sent before', async () => {
    const runner = await open({
      collects: async (context) => {
        await context.receive('go', { timeoutMs: 60_000 });
        const received: (Durable | undefined)[] = [];
        for (let count = 0; count < 3; count += 1) {
          received.push(await context.receive('item', { timeoutMs: 60_000 }));
        }
        await context.sleep('a moment', 5);
        received.push((await context.receive('item', { timeoutMs: 1 })) ?? 'none');
        return received.map((item) => item ?? null);
      },
    });
    const runId = nextId();
    await runner.start('collects', null, { runId });
    await runner.send(runId, 'item', 1);
    await runner.send(runId, 'item', { two: 2 });
    await runner.send(runId, 'go', null);
    await runner.send(runId, 'item', [3]);
    expect(await runner.result(runId)).toEqual([1, { two: 2 }, [3], 'none']);
    const [newest] = await runner.list({ limit: 1 });
    expect(newest).toMatchObject({ runId, state: 'succeeded', name: 'collects' });
  });
}
