import { deepEqual } from 'node:assert/strict';
import {
  type SilentClient,
  type SilentServers,
  LIMIT_MS,
  clients,
  openSilentServers,
} from './clients.ts';

/** The fake timers of one library. */
export interface FakeTimers {
  install(): void;
  /** Advances the faked time. */
  tick(ms: number): void;
  /** Drops every pending timer, and goes on faking. */
  clear(): void;
  restore(): void;
}

type Opened = ReadonlyMap<string, SilentClient>;
type Scenario = (timers: FakeTimers, open: () => Promise<Opened>) => Promise<void>;

/** Kept before any test fakes them. */
const realTimeout = setTimeout;
const realClear = clearTimeout;

/** What no call and no closing comes near. */
const REAL_LIMIT_MS = 20_000;
/** A call has several limits one after the other, such as those of two attempts. */
const FAKED_LIMIT_MS = 100 * LIMIT_MS;
const TICK_MS = 5;

const expected = Object.fromEntries(
  Object.entries(clients).map(([name, { outcome }]) => [name, outcome]),
);
const closed = Object.fromEntries(
  Object.entries(clients).map(([name, { end = 'closed' }]) => [name, end]),
);

async function openAll(servers: SilentServers): Promise<Opened> {
  const opening = Object.entries(clients).map(
    async ([name, { open }]) => [name, await open(servers)] as const,
  );
  return new Map(await Promise.all(opening));
}

type Outcomes = Record<string, unknown>;

/** Starts something of every client; its outcome is a code, or what was returned. */
function start(opened: Opened, work: (client: SilentClient) => Promise<unknown>) {
  const outcomes: Outcomes = Object.fromEntries(
    [...opened.keys()].map((name) => [name, 'pending']),
  );
  const all = [...opened].map(async ([name, client]) => {
    outcomes[name] = await work(client).catch((error: unknown) =>
      error instanceof Error && 'code' in error ? error.code : String(error),
    );
  });
  return { outcomes, settled: Promise.all(all) };
}

const call = (opened: Opened) => start(opened, (client) => client.call());
const close = (opened: Opened) =>
  start(opened, async (client) => {
    await client.close();
    return 'closed';
  });

type Started = ReturnType<typeof start>;

/** Waits in real time. */
async function real({ outcomes, settled }: Started): Promise<Outcomes> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = realTimeout(resolve, REAL_LIMIT_MS);
  });
  await Promise.race([settled, limit]);
  realClear(timer);
  return { ...outcomes };
}

/** Advances the faked time, and lets what is received meanwhile be handled. */
async function faked({ outcomes, settled }: Started, timers: FakeTimers): Promise<Outcomes> {
  const progress = { isSettled: false };
  void settled.then(() => (progress.isSettled = true));
  for (let passedMs = 0; passedMs < FAKED_LIMIT_MS && !progress.isSettled; passedMs += TICK_MS) {
    timers.tick(TICK_MS);
    await new Promise<void>((resolve) => {
      realTimeout(resolve, 1);
    });
  }
  return { ...outcomes };
}

/** What must hold with the timers of every library, whatever else it fakes beside `setTimeout`. */
const plays: Readonly<Record<string, Scenario>> = {
  'calls time out in faked time, and then in real time': async (timers, open) => {
    const opened = await open();
    timers.install();
    deepEqual(await faked(call(opened), timers), expected);
    timers.restore();
    deepEqual(await real(call(opened)), expected);
    deepEqual(await real(close(opened)), closed);
  },
  'calls time out in real time, then in faked time, and then again': async (timers, open) => {
    const opened = await open();
    deepEqual(await real(call(opened)), expected);
    timers.install();
    deepEqual(await faked(call(opened), timers), expected);
    timers.restore();
    deepEqual(await real(call(opened)), expected);
    deepEqual(await real(close(opened)), closed);
  },
  'calls that wait when the timers are restored time out': async (timers, open) => {
    const opened = await open();
    timers.install();
    const waiting = call(opened);
    timers.tick(1);
    timers.restore();
    deepEqual(await real(waiting), expected);
    deepEqual(await real(close(opened)), closed);
  },
  'calls whose timers were cleared time out when the timers are restored': async (timers, open) => {
    const opened = await open();
    timers.install();
    const waiting = call(opened);
    timers.clear();
    timers.tick(1);
    timers.restore();
    deepEqual(await real(waiting), expected);
    deepEqual(await real(call(opened)), expected);
    deepEqual(await real(close(opened)), closed);
  },
  'what is opened and closed in faked time leaves the next one sound': async (timers, open) => {
    timers.install();
    const first = await open();
    deepEqual(await faked(call(first), timers), expected);
    deepEqual(await faked(close(first), timers), closed);
    timers.restore();
    const second = await open();
    deepEqual(await real(call(second)), expected);
    deepEqual(await real(close(second)), closed);
  },
};

/** The same plays with servers of their own. */
export const scenarios: Readonly<Record<string, (timers: FakeTimers) => Promise<void>>> =
  Object.fromEntries(
    Object.entries(plays).map(([name, play]) => [
      name,
      async (timers: FakeTimers) => {
        const servers = await openSilentServers();
        const all: Opened[] = [];
        const open = async (): Promise<Opened> => {
          const opened = await openAll(servers);
          all.push(opened);
          return opened;
        };
        try {
          await play(timers, open);
        } finally {
          timers.restore();
          await Promise.all(all.map((opened) => real(close(opened))));
          await servers.close();
        }
      },
    ]),
  );
