/** What every server of every mode promises, as a function that a test calls. */
import { afterAll, describe, expect, test } from '@jest/globals';
import type { FaultProxy } from '@holdfast/faults';
import { isHoldfastError, systemClock } from '@holdfast/foundation';
import type { ServerHandle } from './stage.ts';

/** A running server with nothing in it, and how its clients speak to it. */
export interface ServerUnderContract {
  readonly server: ServerHandle;
  /** Closes the stage it stands on. */
  readonly close: () => Promise<void>;
  /** One exchange over a connection of its own; rejects when there is no answer until `signal` aborts. */
  readonly ping: (signal: AbortSignal) => Promise<void>;
  /** Stores a value so that it is on disk once this resolves. */
  readonly store: (key: string, value: string, signal: AbortSignal) => Promise<void>;
  readonly recall: (key: string, signal: AbortSignal) => Promise<string | null>;
  /** What the server prints whenever it has started. */
  readonly startLine: RegExp;
}

export interface ContractLimits {
  /** How long any one exchange may take. Default 5 000. */
  readonly answerTimeoutMs?: number;
  /** How long one promise may take to be shown. Default 60 000. */
  readonly testTimeoutMs?: number;
  /** Over how many kills the address is watched. Default 5; fewer for one that is slow to start. */
  readonly kills?: number;
  /** What the server is called in the names of the tests. Default `a server on the stage`. */
  readonly name?: string;
  /** Whether it has printed nothing before it was opened, as a new server has not. Default true. */
  readonly printsSinceOpen?: boolean;
  /** What closing its stage leaves at its address: nobody, or a server that others have brought up. Default `nobody`. */
  readonly leaves?: 'nobody' | 'the server';
}

/** How long a frozen server is listened to before its silence is believed. */
const SILENCE_MS = 200;

/**
 * Shows each promise on one server, which is brought back to running in between; calls for another one
 * after a promise that was broken, and closes what it opened.
 */
export function honoursServerContract(
  open: () => Promise<ServerUnderContract>,
  {
    answerTimeoutMs = 5_000,
    testTimeoutMs = 60_000,
    kills = 5,
    name = 'a server on the stage',
    printsSinceOpen = true,
    leaves = 'nobody',
  }: ContractLimits = {},
): void {
  const inTime = (): AbortSignal => signalAfter(answerTimeoutMs);
  let standing: ServerUnderContract | undefined;

  /** The server, brought to the state that a promise begins with. */
  const standingIn = async (state: 'running' | 'stopped'): Promise<ServerUnderContract> => {
    standing ??= await open();
    const { server } = standing;
    if (server.state === 'frozen') await server.thaw();
    if (state === 'running' && server.state === 'stopped') await server.start();
    if (state === 'stopped' && server.state === 'running') await server.kill();
    return standing;
  };
  const closeStanding = async (): Promise<void> => {
    const closing = standing;
    standing = undefined;
    await closing?.close();
  };
  const promise = (
    promised: string,
    show: (opened: ServerUnderContract) => Promise<void>,
    from: 'running' | 'stopped' = 'running',
  ): void => {
    test(
      promised,
      async () => {
        expect.hasAssertions();
        try {
          await show(await standingIn(from));
        } catch (error) {
          // Whatever state it has left its server in is not the next promise's affair.
          await closeStanding();
          throw error;
        }
      },
      testTimeoutMs,
    );
  };
  const startsOf = async ({ server, startLine }: ServerUnderContract): Promise<number> =>
    ((await server.log()).match(new RegExp(startLine, 'g')) ?? []).length;

  describe(`${name}, under contract`, () => {
    afterAll(closeStanding, testTimeoutMs);

    promise('answers as soon as it is open', async (opened) => {
      expect(opened.server.state).toBe('running');
      await opened.ping(inTime());
      if (printsSinceOpen) expect(await startsOf(opened)).toBe(1);
    });

    promise(`keeps its address over ${kills} kills`, async ({ server, ping }) => {
      const { url, host, port } = server;
      for (let kill = 0; kill < kills; kill += 1) {
        await server.kill();
        await expect(ping(inTime())).rejects.toBeDefined();
        await server.start();
        await ping(inTime());
      }
      expect([server.url, server.host, server.port]).toEqual([url, host, port]);
    });

    promise('keeps what was on disk over a kill and over a stop', async (opened) => {
      const { server, store, recall } = opened;
      await store('before the kill', 'kept', inTime());
      await server.kill();
      expect(server.state).toBe('stopped');
      await server.start();
      await store('before the stop', 'kept too', inTime());
      await server.stop();
      expect(server.state).toBe('stopped');
      await server.start();
      expect(await recall('before the kill', inTime())).toBe('kept');
      expect(await recall('before the stop', inTime())).toBe('kept too');
    });

    promise(
      'is silent while frozen and answers what it was asked then once thawed',
      async (opened) => {
        const { server, ping } = opened;
        await server.freeze();
        expect(server.state).toBe('frozen');
        await expect(ping(signalAfter(SILENCE_MS))).rejects.toMatchObject({
          name: 'TimeoutError',
        });
        const asked = ping(inTime());
        await server.thaw();
        expect(server.state).toBe('running');
        await asked;
      },
    );

    promise(
      'breaks off its clients while its link does, and no longer once that is healed',
      async ({ server, ping }) => {
        const link = linkOf(server);
        link?.faults.set('reset');
        const struck = await ping(inTime()).then(
          () => false,
          () => true,
        );
        await link?.heal();
        await ping(inTime());
        expect(struck).toBe(link !== undefined);
      },
    );

    promise('can be killed while frozen', async ({ server, ping }) => {
      await server.freeze();
      await server.kill();
      expect(server.state).toBe('stopped');
      await expect(ping(inTime())).rejects.toBeDefined();
    });

    promise(
      'hands out what it printed, across restarts',
      async (opened) => {
        const before = await startsOf(opened);
        await opened.server.start();
        const limit = inTime();
        // An engine hands on what a container prints a moment after.
        while ((await startsOf(opened)) === before) limit.throwIfAborted();
        expect(await startsOf(opened)).toBe(before + 1);
      },
      'stopped',
    );

    promise('refuses a verb its state does not allow, and stays as it is', async ({ server }) => {
      const refusal = (state: string, ...needed: string[]): object => ({
        code: 'STAGE_STATE',
        state,
        needed,
      });
      await expect(server.start()).rejects.toMatchObject(refusal('running', 'stopped'));
      await expect(server.thaw()).rejects.toMatchObject(refusal('running', 'frozen'));
      await server.freeze();
      await expect(server.freeze()).rejects.toMatchObject(refusal('frozen', 'running'));
      await expect(server.stop()).rejects.toMatchObject(refusal('frozen', 'running'));
      await expect(server.start()).rejects.toMatchObject(refusal('frozen', 'stopped'));
      await server.kill();
      await expect(server.kill()).rejects.toMatchObject(refusal('stopped', 'running', 'frozen'));
      await expect(server.freeze()).rejects.toMatchObject(refusal('stopped', 'running'));
      expect(server.state).toBe('stopped');
    });

    promise(
      'takes verbs one after the other, in the order of their calls',
      async ({ server, ping }) => {
        await Promise.all([server.start(), server.freeze(), server.thaw()]);
        expect(server.state).toBe('running');
        await ping(inTime());
      },
      'stopped',
    );

    promise(
      `leaves ${leaves} at its address once its stage is closed, also from frozen`,
      async ({ server, ping, close }) => {
        await server.freeze();
        await close();
        await close();
        expect(server.state).toBe('stopped');
        if (leaves === 'the server') await ping(inTime());
        else await expect(ping(inTime())).rejects.toMatchObject({ code: 'ECONNREFUSED' });
        await expect(server.start()).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
        await expect(server.log()).rejects.toMatchObject({ code: 'STAGE_CLOSED' });
        standing = undefined;
      },
    );
  });
}

/** Its link; `undefined` for one whose clients speak UDP. */
function linkOf(server: ServerHandle): FaultProxy | undefined {
  try {
    return server.link;
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'STAGE_LINK_ABSENT') return undefined;
    throw error;
  }
}

/** A signal that aborts with a TimeoutError after so many milliseconds. */
function signalAfter(limitMs: number): AbortSignal {
  const late = new AbortController();
  const reason = new DOMException(`nothing within ${limitMs} ms`, 'TimeoutError');
  systemClock.schedule(limitMs, () => late.abort(reason), { holdsProcess: false });
  return late.signal;
}
