import { createHash } from 'node:crypto';
import { type Random, seededRandom, sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { type StorageBackend, fail } from '../../src/backend.ts';
import { type MemoryBackend, createMemoryBackend } from '../../src/backends/memory.ts';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';

/** One write as its caller knows it. */
interface Issued {
  readonly kind: 'put' | 'remove';
  readonly text: string;
  acknowledged: boolean;
}

export interface RunVerdict {
  readonly lost: string[];
  readonly outOfOrder: string[];
  readonly resurrected: string[];
  readonly stale: string[];
  readonly left: string[];
  readonly acknowledged: number;
  readonly crashes: number;
  readonly lateWrites: number;
}

const KEYS = ['a', 'b', 'dir/c'];
const LATE_WRITE_MS = 1_000;
const HOUR_MS = 3_600_000;

/** A server behind a network with every kind of fault. */
class Server {
  readonly backend: MemoryBackend;
  readonly #clock: FakeClock;
  readonly #random: Random;
  /** The writes that were applied in time, in order, by key. */
  readonly applied: { key: string; generation: number }[] = [];
  weather: 'fair' | 'rough' | 'away' | 'denied' = 'fair';
  lateWrites = 0;

  constructor(name: string, clock: FakeClock, random: Random) {
    this.backend = createMemoryBackend({ name, clock });
    this.#clock = clock;
    this.#random = random;
  }

  /** The server as one process reaches it, until that process dies. */
  seenBy(life: { isOver: boolean }): StorageBackend {
    const { backend } = this;
    const never = new Promise<never>(() => undefined);
    const reach = async <T>(
      act: () => Promise<T>,
      isWrite: boolean,
      write: () => Promise<unknown>,
    ): Promise<T | ReturnType<typeof fail>> => {
      if (life.isOver) return never;
      await sleep(this.#clock, 1 + Math.floor(this.#random() * 5));
      const fate = this.#random();
      const rough = this.weather === 'rough';
      let result: T | ReturnType<typeof fail>;
      if (this.weather === 'denied') result = fail('denied', 'HTTP 403');
      else if (this.weather === 'away') {
        result = fail(isWrite && fate < 0.5 ? 'unknown' : 'transient', 'away');
      } else if (rough && fate < 0.2) result = fail('transient', 'HTTP 503');
      else if (rough && isWrite && fate < 0.35) {
        result = fail('unknown', 'reset before it arrived');
      } else if (rough && isWrite && fate < 0.5) {
        await write();
        result = fail('unknown', 'reset before the answer');
      } else if (rough && isWrite && fate < 0.65) {
        this.lateWrites += 1;
        const delayMs = Math.floor(this.#random() * (LATE_WRITE_MS - 20));
        void sleep(this.#clock, delayMs).then(write);
        result = fail('unknown', 'still at it');
      } else result = await act();
      await sleep(this.#clock, 1 + Math.floor(this.#random() * 5));
      return life.isOver ? never : result;
    };
    return {
      name: backend.name,
      bucket: backend.bucket,
      largeFromBytes: backend.largeFromBytes,
      refuseKey: (key) => backend.refuseKey(key),
      put: (key, body, options) => {
        const inTime = async () => {
          const result = await backend.put(key, body, options);
          if (result.kind === 'ok') {
            this.applied.push({ key, generation: options.stamp.generation });
          }
          return result;
        };
        // A request in flight reads no file any more: a dead process has sent its bytes or not.
        const { bytes } = body;
        const late = () =>
          bytes === undefined ? Promise.resolve() : backend.put(key, body, options);
        return reach(inTime, true, late);
      },
      get: (key, options) => {
        const act = () => backend.get(key, options);
        return reach(act, false, act);
      },
      head: (key, options) => {
        const act = () => backend.head(key, options);
        return reach(act, false, act);
      },
      remove: (key, options) => {
        const act = () => backend.remove(key, options);
        return reach(act, true, act);
      },
      list: (prefix, options) => {
        const act = () => backend.list(prefix, options);
        return reach(act, false, act);
      },
    };
  }
}

/** One random history of writes, faults and crashes, derived from a seed, and its result. */
export async function playRun(seed: number): Promise<RunVerdict> {
  const random = seededRandom(seed);
  const clock = createFakeClock();
  const servers = ['primary', 'mirror']
    .slice(0, 1 + Math.floor(random() * 2))
    .map((name) => new Server(name, clock, random));
  const history = new Map<string, Issued[]>(KEYS.map((key) => [key, []]));
  const stale: string[] = [];
  let files = createMemoryFileSystem();
  let crashes = 0;
  let written = 0;
  const below = (limit: number): number => Math.floor(random() * limit);

  const open = (life: { isOver: boolean }): Storage =>
    createStorage({
      backends: servers.map((server) => server.seenBy(life)),
      journal: { directory: '/journal', segmentBytes: 8_192, minFreeBytes: 0 },
      inlineBytes: 40,
      maxMemoryBytes: below(2) * 1_000,
      acknowledgeWithinMs: below(2) * 20,
      lateWriteMs: LATE_WRITE_MS,
      deniedProbeMs: 100,
      circuitBreaker: { openDurationMs: 50, maxOpenDurationMs: 400 },
      retry: { initialDelayMs: 5, maxDelayMs: 100 },
      clock,
      random,
      files,
    });

  const write = (storage: Storage, life: { isOver: boolean }): void => {
    const key = KEYS[below(KEYS.length)] ?? 'a';
    written += 1;
    const text = `${written} ${'x'.repeat(below(80))}`;
    const kind = random() < 0.25 ? 'remove' : 'put';
    const issued: Issued = { kind, text, acknowledged: false };
    history.get(key)?.push(issued);
    const call = kind === 'put' ? storage.upload(key, text) : storage.remove(key);
    call.then(
      () => void (issued.acknowledged ||= !life.isOver),
      () => undefined,
    );
  };

  /** The permitted contents: the last acknowledged write, or any write issued after it. */
  const allowed = (key: string): (string | undefined)[] => {
    const writes = history.get(key) ?? [];
    const last = writes.findLastIndex(({ acknowledged }) => acknowledged);
    const since = writes.slice(Math.max(0, last));
    const texts = since.map(({ kind, text }) => (kind === 'put' ? text : undefined));
    return last === -1 ? [undefined, ...texts] : texts;
  };

  const read = (storage: Storage, life: { isOver: boolean }): void => {
    const key = KEYS[below(KEYS.length)] ?? 'a';
    // Acknowledged writes must be visible; concurrent ones may be.
    const before = allowed(key);
    const from = (history.get(key) ?? []).length;
    const see = (found: string | undefined): void => {
      const since = (history.get(key) ?? []).slice(from);
      const meanwhile = since.map(({ kind, text }) => (kind === 'put' ? text : undefined));
      if (life.isOver || before.includes(found) || meanwhile.includes(found)) return;
      stale.push(`${key}: ${String(found)} instead of ${before.map(String).join(' or ')}`);
    };
    storage
      .download(key)
      .then(async (download) => see(Buffer.from(await download.bytes()).toString()))
      .catch((error: unknown) => {
        if (codeOf(error) === 'STORAGE_NOT_FOUND') see(undefined);
      });
  };

  const lives = 1 + below(4);
  for (let turn = 0; turn < lives; turn += 1) {
    const life = { isOver: false };
    const storage = open(life);
    await clock.settle(storage.ready().catch(() => undefined));
    for (let step = 3 + below(15); step > 0; step -= 1) {
      for (const server of servers) {
        if (random() < 0.15) {
          const weathers = ['fair', 'rough', 'rough', 'away', 'denied'] as const;
          server.weather = weathers[below(weathers.length)] ?? 'fair';
        }
      }
      if (random() < 0.05) clock.stepWallClock((random() - 0.5) * HOUR_MS);
      if (random() < 0.7) write(storage, life);
      if (random() < 0.2) read(storage, life);
      await clock.advance(below(3) === 0 ? below(600) : below(12));
    }
    if (random() < 0.3) files.dieAfterBytes = below(600);
    if (random() < 0.5) write(storage, life);
    await clock.advance(below(4));
    life.isOver = true;
    crashes += 1;
    files = files.crash((['kill', 'prefix', 'sectors'] as const)[below(3)] ?? 'kill', random);
  }

  for (const server of servers) server.weather = 'fair';
  const last = open({ isOver: false });
  await clock.settle(last.ready());
  const pending = await clock.settle(last.flush({ deadlineMs: HOUR_MS }));
  await clock.advance(2 * LATE_WRITE_MS);
  const verdict = judge(servers, allowed);
  // The journal receives the last settlement in a turn of its own.
  for (let turn = 0; turn < 20 && last.getStats().pendingBytes > 0; turn += 1)
    await clock.advance(1);
  const { pendingBytes } = last.getStats();
  await clock.settle(last.close());
  const left = files.names().filter((name) => name.includes('.blob'));
  if (pending > 0) left.push(`${pending} writes pending`);
  if (pendingBytes > 0) left.push(`${pendingBytes} bytes reserved`);
  const acknowledged = [...history.values()].flat().filter((one) => one.acknowledged).length;
  const lateWrites = servers.reduce((sum, server) => sum + server.lateWrites, 0);
  return { ...verdict, stale, left, acknowledged, crashes, lateWrites };
}

function judge(
  servers: readonly Server[],
  allowed: (key: string) => (string | undefined)[],
): Pick<RunVerdict, 'lost' | 'outOfOrder' | 'resurrected'> {
  const lost: string[] = [];
  const outOfOrder: string[] = [];
  const resurrected: string[] = [];
  for (const { backend, applied } of servers) {
    for (const key of KEYS) {
      const stored = backend.objects.get(key);
      const found = stored === undefined ? undefined : Buffer.from(stored.bytes).toString();
      const wanted = allowed(key);
      if (!wanted.includes(found)) {
        const what = `${backend.name} ${key}: ${String(found)} instead of ${wanted.map(String).join(' or ')}`;
        (wanted.every((one) => one === undefined) ? resurrected : lost).push(what);
      }
      const sum = createHash('sha256')
        .update(stored?.bytes ?? '')
        .digest('hex');
      if (stored?.head.stamp !== undefined && stored.head.stamp.sha256 !== sum)
        lost.push(`${key}: sha256`);
      let highest = 0;
      for (const { generation } of applied.filter((one) => one.key === key)) {
        if (generation < highest)
          outOfOrder.push(`${backend.name} ${key}: ${generation} after ${highest}`);
        highest = Math.max(highest, generation);
      }
    }
  }
  return { lost, outOfOrder, resurrected };
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
