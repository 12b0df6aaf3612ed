/** The promises of every server in every mode, as a function that a test calls. */
import { afterAll, describe, expect, test } from '@jest/globals';
import type { FaultProxy } from '@holdfast/faults';
import { isHoldfastError, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from './topology/first-run.ts';
import type { ServerHandle } from './handle/handle.ts';

/** A running server without data, and how its clients use it. */
export interface ServerUnderContract {
  readonly server: ServerHandle;
  /** Closes its stage. */
  readonly close: () => Promise<void>;
  /** One exchange over a connection of its own; rejects when there is no answer until `signal` aborts. */
  readonly ping: (signal: AbortSignal) => Promise<void>;
  /** Stores a value and resolves when it is on disk. */
  readonly store: (key: string, value: string, signal: AbortSignal) => Promise<void>;
  readonly recall: (key: string, signal: AbortSignal) => Promise<string | null>;
  /** Matches what the server prints at each start. */
  readonly startLine: RegExp;
}

interface ServerContractOptions {
  /** How long one exchange may take. Default 5 000. */
  readonly answerTimeoutMs?: number;
  /** How long one test may take. Default STAGE_OPEN_TIMEOUT_MS: the first run on a machine fetches servers. */
  readonly testTimeoutMs?: number;
  /** After how many kills the address is compared. Default 5; fewer for a server that starts slowly. */
  readonly kills?: number;
  /** The name of the server in the names of the tests. Default `a server on the stage`. */
  readonly name?: string;
  /** Whether its log begins with the stage, as that of a new server does. Default true. */
  readonly printsSinceOpen?: boolean;
  /** What listens at its address after its stage was closed: nobody, or a server of compose. Default `nobody`. */
  readonly leaves?: 'nobody' | 'the server';
}

/** How long a frozen server must not answer. */
const SILENCE_MS = 200;

type Exchange = () => AbortSignal;
type Promised = (
  name: string,
  show: (opened: ServerUnderContract) => Promise<void>,
  from?: 'running' | 'stopped',
) => void;

/**
 * Shows each promise on one server, which is restored to running in between; opens another one after a promise
 * that was broken, and closes what it has opened.
 */
export function honoursServerContract(
  open: () => Promise<ServerUnderContract>,
  options: ServerContractOptions = {},
): void {
  const { answerTimeoutMs = 5_000, testTimeoutMs = STAGE_OPEN_TIMEOUT_MS } = options;
  const { name = 'a server on the stage', leaves = 'nobody' } = options;
  const inTime = (): AbortSignal => signalAfter(answerTimeoutMs);
  const shared = new SharedServer(open);
  const promise: Promised = (promised, show, from = 'running') => {
    test(
      promised,
      async () => {
        expect.hasAssertions();
        try {
          await show(await shared.inState(from));
        } catch (error) {
          // The next promise must not depend on the state that a broken one leaves.
          await shared.close();
          throw error;
        }
      },
      testTimeoutMs,
    );
  };

  describe(`${name}, under contract`, () => {
    afterAll(() => shared.close(), testTimeoutMs);
    promisesData(promise, inTime, options);
    promisesFaults(promise, inTime);
    promisesLog(promise, inTime);
    promisesVerbs(promise, inTime);
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
        shared.forget();
      },
    );
  });
}

/** Data and address survive every end of the server. */
function promisesData(
  promise: Promised,
  inTime: Exchange,
  { kills = 5, printsSinceOpen = true }: ServerContractOptions,
): void {
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
}

/** A frozen server is silent, and a broken link breaks its clients. */
function promisesFaults(promise: Promised, inTime: Exchange): void {
  promise(
    'is silent while frozen and answers pending requests once thawed',
    async ({ server, ping }) => {
      await server.freeze();
      expect(server.state).toBe('frozen');
      await expect(ping(signalAfter(SILENCE_MS))).rejects.toMatchObject({ name: 'TimeoutError' });
      const pending = ping(inTime());
      await server.thaw();
      expect(server.state).toBe('running');
      await pending;
    },
  );

  promise(
    'resets its clients while its link does, and no longer once that is healed',
    async ({ server, ping }) => {
      const link = linkOf(server);
      link?.faults.set('reset');
      const wasReset = await ping(inTime()).then(
        () => false,
        () => true,
      );
      await link?.heal();
      await ping(inTime());
      expect(wasReset).toBe(link !== undefined);
    },
  );

  promise('can be killed while frozen', async ({ server, ping }) => {
    await server.freeze();
    await server.kill();
    expect(server.state).toBe('stopped');
    await expect(ping(inTime())).rejects.toBeDefined();
  });
}

function promisesLog(promise: Promised, inTime: Exchange): void {
  promise(
    'returns what it printed, across restarts',
    async (opened) => {
      const before = await startsOf(opened);
      await opened.server.start();
      const limit = inTime();
      // An engine returns the output of a container a moment later.
      while ((await startsOf(opened)) === before) limit.throwIfAborted();
      expect(await startsOf(opened)).toBe(before + 1);
    },
    'stopped',
  );
}

/** Verbs take effect in order, and only in the states that allow them. */
function promisesVerbs(promise: Promised, inTime: Exchange): void {
  promise('refuses a verb that its state does not allow, and is unchanged', async ({ server }) => {
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
    'applies verbs one after the other, in the order of their calls',
    async ({ server, ping }) => {
      await Promise.all([server.start(), server.freeze(), server.thaw()]);
      expect(server.state).toBe('running');
      await ping(inTime());
    },
    'stopped',
  );
}

/** The server on which the promises are shown. */
class SharedServer {
  readonly #open: () => Promise<ServerUnderContract>;
  #opened: ServerUnderContract | undefined;

  constructor(open: () => Promise<ServerUnderContract>) {
    this.#open = open;
  }

  /** Brings it to the state in which a promise begins. */
  async inState(state: 'running' | 'stopped'): Promise<ServerUnderContract> {
    this.#opened ??= await this.#open();
    const { server } = this.#opened;
    if (server.state === 'frozen') await server.thaw();
    if (state === 'running' && server.state === 'stopped') await server.start();
    if (state === 'stopped' && server.state === 'running') await server.kill();
    return this.#opened;
  }

  /** Its stage was closed by a promise. */
  forget(): void {
    this.#opened = undefined;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.close();
  }
}

async function startsOf({ server, startLine }: ServerUnderContract): Promise<number> {
  return ((await server.log()).match(new RegExp(startLine, 'g')) ?? []).length;
}

/** Its link; `undefined` for a server whose clients speak UDP. */
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
  const controller = new AbortController();
  const reason = new DOMException(`nothing within ${limitMs} ms`, 'TimeoutError');
  systemClock.schedule(limitMs, () => controller.abort(reason), { holdsProcess: false });
  return controller.signal;
}
