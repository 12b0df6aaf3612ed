import { expect, test } from '@jest/globals';
import { openTestStorage } from './open-storage.ts';

/** What Kubernetes gives a process between SIGTERM and SIGKILL; other packages close within the same grace. */
const GRACE_MS = 30_000;

const frozen = {
  'that end a call when it is aborted': (_: unknown, signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  'that end no call': () => new Promise<never>(() => undefined),
};

test.each(Object.entries(frozen))(
  'without a deadline a storage is closed well within the grace of a pod, with frozen servers %s',
  async (_, never) => {
    const { storage, clock, primary, mirror } = await openTestStorage({ acknowledgeWithinMs: 0 });
    primary.intercept = never;
    mirror.intercept = never;
    const uploads = ['a', 'b', 'c'].map((key) => storage.upload(key, 'x'));
    expect(await clock.settle(Promise.all(uploads))).toMatchObject([
      { stored: 'queued' },
      { stored: 'queued' },
      { stored: 'queued' },
    ]);
    const beganMs = clock.now();
    const closing = storage.close();
    let isClosed = false;
    void closing.then(() => (isClosed = true));
    await clock.advance(GRACE_MS / 2);
    expect({ isClosed, beganMs }).toEqual({ isClosed: true, beganMs });
    await closing;
  },
);
