import { createHash } from 'node:crypto';
import { type Random, seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';
import { History, type Write } from './history.ts';
import { LATE_WRITE_MS, type Life, Server } from './server.ts';

export interface RunVerdict {
  readonly lost: string[];
  readonly outOfOrder: string[];
  readonly resurrected: string[];
  readonly stale: string[];
  readonly left: string[];
  readonly acknowledged: number;
  readonly crashes: number;
  readonly lateWrites: number;
  readonly moves: number;
  readonly copies: number;
  readonly restored: number;
}

export interface RunOptions {
  /** Two machines write the same keys, each with a journal of its own. */
  readonly processes: 1 | 2;
  /** A machine may come back with an older copy of its journal. */
  readonly restoresJournals: boolean;
}

const KEYS = ['a', 'b', 'dir/c'];
const HOUR_MS = 3_600_000;

/** What all machines share. */
interface World {
  readonly clock: FakeClock;
  readonly random: Random;
  readonly servers: readonly Server[];
  readonly histories: readonly History[];
  /** Whether objects are copied: what a copy may have read leaves more to chance, and a fault can hide in it. */
  readonly hasCopies: boolean;
  written: number;
  moves: number;
  copies: number;
  restored: number;
  /** When a machine first came back with an older copy. */
  restoredAtMs: number;
  readonly stale: string[];
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function anyKey(random: Random): string {
  return KEYS[below(random, KEYS.length)] ?? 'a';
}

/** One machine: a process at a time, and a journal that they inherit. */
class Machine {
  readonly #world: World;
  readonly #history: History;
  #files = createMemoryFileSystem();
  #backup: MemoryFileSystem | undefined;
  #life: Life = { isOver: true };
  #storage: Storage | undefined;
  #isOpen = false;
  #isRestored = false;
  /** The keys of writes that the last process had not delivered everywhere when it died. */
  #pending: ReadonlySet<string> = new Set();
  crashes = 0;

  constructor(world: World, history: History) {
    this.#world = world;
    this.#history = history;
  }

  async start(): Promise<Storage> {
    const { servers, clock, random } = this.#world;
    const life = { isOver: false };
    this.#life = life;
    const storage = createStorage({
      backends: servers.map((server) => server.seenBy(life)),
      journal: { directory: '/journal', segmentBytes: 8_192, minFreeBytes: 0 },
      inlineBytes: 40,
      maxMemoryBytes: below(random, 2) * 1_000,
      acknowledgeWithinMs: below(random, 2) * 20,
      lateWriteMs: LATE_WRITE_MS,
      deniedProbeMs: 100,
      circuitBreaker: { openDurationMs: 50, maxOpenDurationMs: 400 },
      retry: { initialDelayMs: 5, maxDelayMs: 100 },
      clock,
      random,
      files: this.#files,
    });
    this.#storage = storage;
    storage.on('conflict', ({ backend, path, resolution }) => {
      const server = servers.find((one) => one.backend.name === backend);
      // The writes of an earlier life count as another writer's once the journal was restored.
      if (!this.#isRestored || resolution === 'ours' || server === undefined) return;
      this.#history.lose(path, textOf(server, path));
    });
    this.#isOpen = await clock.settle(
      storage.ready().then(
        () => true,
        () => false,
      ),
    );
    return storage;
  }

  /** Writes, removes, copies or moves, or reads; nothing is waited for. */
  act(): void {
    const { random, hasCopies } = this.#world;
    const choice = random();
    // A life that goes on from an older copy moves, copies and removes more than it writes.
    const writes = this.#isRestored ? 0.35 : 0.55;
    const removals = this.#isRestored ? 0.5 : 0.25;
    const moves = writes + (this.#isRestored ? 0.2 : 0.1);
    const copies = moves + (hasCopies ? (this.#isRestored ? 0.2 : 0.07) : 0);
    if (choice < writes) this.#write(anyKey(random), random() < removals);
    else if (choice < moves) this.#move(anyKey(random), anyKey(random));
    else if (choice < copies) this.#copy(anyKey(random), anyKey(random));
    else if (choice < copies + 0.18) this.#read(anyKey(random));
  }

  /** The process dies, in the middle of a write or not. */
  async crash(): Promise<void> {
    const { random, clock } = this.#world;
    if (random() < 0.3) this.#files.dieAfterBytes = below(random, 600);
    if (random() < 0.5) this.#write(anyKey(random), false);
    await clock.advance(below(random, 4));
    if (this.#isOpen) {
      this.#pending = new Set(this.#storage?.pending().map(({ path }) => path));
    }
    this.#life.isOver = true;
    this.#history.end();
    this.crashes += 1;
    const how = (['kill', 'prefix', 'sectors'] as const)[below(random, 3)] ?? 'kill';
    this.#files = this.#files.crash(how, random);
  }

  /** Keeps a copy of the journal, or comes back with the one kept. */
  restoreOrKeep(): void {
    const { random, servers } = this.#world;
    if (this.#backup === undefined || random() < 0.5) {
      const everything = (): number => 1 - Number.EPSILON;
      this.#backup = this.#files.crash('prefix', everything);
      this.#files = this.#files.crash('prefix', everything);
      return;
    }
    this.#files = this.#backup;
    this.#backup = undefined;
    this.#world.restored += 1;
    this.#world.restoredAtMs = Math.min(this.#world.restoredAtMs, this.#world.clock.now());
    this.#isRestored = true;
    // Only what every server was given is known to anyone now: a removal that was not delivered leaves no trace, though
    // the key be absent.
    for (const key of KEYS) {
      const allowed = this.#history.allowed(key);
      const isEverywhere =
        !this.#pending.has(key) && servers.every((server) => allowed.includes(textOf(server, key)));
      if (!isEverywhere) this.#history.forget(key);
    }
  }

  /** Waits until everything is delivered; resolves with what is left over. */
  async finish(): Promise<string[]> {
    const { clock } = this.#world;
    const storage = this.#storage ?? (await this.start());
    const left: string[] = [];
    const pending = await clock.settle(storage.flush({ deadlineMs: HOUR_MS }));
    await clock.advance(2 * LATE_WRITE_MS);
    // The journal receives the last settlement in a turn of its own.
    for (let turn = 0; turn < 40 && storage.getStats().pendingBytes > 0; turn += 1) {
      await clock.advance(1);
    }
    const { pendingBytes } = storage.getStats();
    await clock.settle(storage.close());
    left.push(...this.#files.names().filter((name) => name.includes('.blob')));
    if (pending > 0) left.push(`${pending} writes pending`);
    if (pendingBytes > 0) left.push(`${pendingBytes} bytes reserved`);
    return left;
  }

  /** Only the primary can show what a restored journal lacks. */
  get #mayBeBehind(): boolean {
    return this.#isRestored && this.#world.servers[0]?.isReachable !== true;
  }

  #write(key: string, isRemoval: boolean): void {
    const { random } = this.#world;
    this.#world.written += 1;
    const text = `${this.#world.written} ${'x'.repeat(below(random, 80))}`;
    if (isRemoval)
      this.#issue(this.#history.write(key, undefined), (storage) => storage.remove(key));
    else this.#issue(this.#history.write(key, text), (storage) => storage.upload(key, text));
  }

  #move(from: string, to: string): void {
    if (from === to) {
      // It changes nothing.
      this.#issue({ acknowledge: () => undefined }, (storage) => storage.move(from, to));
      return;
    }
    this.#world.moves += 1;
    const others = this.#world.histories.filter((history) => history !== this.#history);
    const write = this.#history.move(from, to, others, this.#mayBeBehind);
    this.#issue(write, (storage) => storage.move(from, to));
  }

  #copy(from: string, to: string): void {
    this.#world.copies += 1;
    const others = this.#world.histories.filter((history) => history !== this.#history);
    const write = this.#history.copy(from, to, others, this.#mayBeBehind);
    this.#issue(write, (storage) => storage.copy(from, to));
  }

  #issue(write: Write, call: (storage: Storage) => Promise<unknown>): void {
    const life = this.#life;
    if (this.#storage === undefined) return;
    call(this.#storage).then(
      () => {
        if (!life.isOver) write.acknowledge();
      },
      () => undefined,
    );
  }

  #read(key: string): void {
    const { histories, stale } = this.#world;
    const life = this.#life;
    const mayBeBehind = this.#mayBeBehind;
    // Acknowledged writes must be visible; concurrent ones may be.
    const before = this.#history.allowed(key);
    const count = this.#history.count(key);
    const see = (found: string | undefined, from: string): void => {
      // A conflict with another process may end with a write of either.
      if (histories.length > 1) return;
      if (from === 'pending' && mayBeBehind) return;
      const meanwhile = this.#history.since(key, count);
      if (life.isOver || before.includes(found) || meanwhile.includes(found)) return;
      stale.push(`${key}: ${String(found)} instead of ${before.map(String).join(' or ')}`);
    };
    this.#storage
      ?.download(key)
      .then(async (download) => see(Buffer.from(await download.bytes()).toString(), download.from))
      .catch((error: unknown) => {
        if (codeOf(error) === 'STORAGE_NOT_FOUND') see(undefined, 'pending');
      });
  }
}

/** One random history of writes, faults and crashes, derived from a seed, and its result. */
export async function playRun(seed: number, options: RunOptions): Promise<RunVerdict> {
  const random = seededRandom(seed);
  const clock = createFakeClock();
  const servers = ['primary', 'mirror']
    .slice(0, 1 + below(random, 2))
    .map((name) => new Server(name, clock, random));
  const histories = Array.from({ length: options.processes }, () => new History(KEYS));
  const world: World = {
    clock,
    random,
    servers,
    histories,
    hasCopies: seed % 4 === 0,
    written: 0,
    moves: 0,
    copies: 0,
    restored: 0,
    restoredAtMs: Infinity,
    stale: [],
  };
  const machines = histories.map((history) => new Machine(world, history));
  const lives = 1 + below(random, 4);
  for (let turn = 0; turn < lives; turn += 1) {
    for (const machine of machines) await machine.start();
    for (let step = 3 + below(random, 15); step > 0; step -= 1) {
      for (const server of servers) {
        if (random() < 0.15) server.weather = anyWeather(random);
      }
      // Conflicts between two lives are decided by ages, which a stepping clock falsifies.
      const steps = random() < 0.05 && !options.restoresJournals;
      if (steps) clock.stepWallClock((random() - 0.5) * HOUR_MS);
      for (const machine of machines) machine.act();
      await clock.advance(below(random, 3) === 0 ? below(random, 600) : below(random, 12));
    }
    if (options.restoresJournals && random() < 0.5) {
      // Everything is delivered: whoever comes back with an older journal may change none of it.
      for (const server of servers) server.weather = 'fair';
      await clock.advance(3 * LATE_WRITE_MS);
    }
    for (const machine of machines) await machine.crash();
    if (options.restoresJournals) for (const machine of machines) machine.restoreOrKeep();
  }
  for (const server of servers) server.weather = 'fair';
  for (const machine of machines) await machine.start();
  const left: string[] = [];
  for (const machine of machines) left.push(...(await machine.finish()));
  const count = (of: (one: Machine) => number): number =>
    machines.reduce((sum, one) => sum + of(one), 0);
  return {
    ...judge(world),
    stale: world.stale,
    left,
    acknowledged: histories.reduce((sum, history) => sum + history.acknowledged, 0),
    crashes: count(({ crashes }) => crashes),
    lateWrites: servers.reduce((sum, server) => sum + server.lateWrites, 0),
    moves: world.moves,
    copies: world.copies,
    restored: world.restored,
  };
}

function anyWeather(random: Random): Server['weather'] {
  const weathers = ['fair', 'rough', 'rough', 'away', 'denied'] as const;
  return weathers[below(random, weathers.length)] ?? 'fair';
}

function textOf({ backend }: Server, key: string): string | undefined {
  const stored = backend.objects.get(key);
  return stored === undefined ? undefined : Buffer.from(stored.bytes).toString();
}

function judge({
  servers,
  histories,
  restoredAtMs,
}: World): Pick<RunVerdict, 'lost' | 'outOfOrder' | 'resurrected'> {
  const lost: string[] = [];
  const outOfOrder: string[] = [];
  const resurrected: string[] = [];
  for (const server of servers) {
    const { backend, applied } = server;
    for (const key of KEYS) {
      const found = textOf(server, key);
      const wanted = histories.flatMap((history) => history.allowed(key));
      // What a life that the journal does not know had sent, and the server applied only now, is another writer's, and
      // later than what the restored one did before.
      const isLate = server.wasLate(found, restoredAtMs);
      if (!wanted.includes(found) && !isLate) {
        const what = `${backend.name} ${key}: ${String(found)} instead of ${wanted.map(String).join(' or ')}`;
        (wanted.every((one) => one === undefined) ? resurrected : lost).push(what);
      }
      const { head, bytes = '' } = backend.objects.get(key) ?? {};
      const sum = createHash('sha256').update(bytes).digest('hex');
      if (head?.stamp !== undefined && head.stamp.sha256 !== sum) lost.push(`${key}: sha256`);
      const highest = new Map<string, number>();
      for (const { writer, generation } of applied.filter((one) => one.key === key)) {
        const before = highest.get(writer) ?? 0;
        if (generation < before) {
          outOfOrder.push(`${backend.name} ${key}: ${generation} after ${before} of ${writer}`);
        }
        highest.set(writer, Math.max(before, generation));
      }
    }
  }
  return { lost, outOfOrder, resurrected };
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
