import { createDatabase } from '@holdfast/database';
import { type Random, seededRandom } from '@holdfast/foundation';
import type { ServerHandle } from '@holdfast/stage';
import type { Load } from './loads/load.ts';
import { type DemoServers, askRedis } from './servers.ts';

const FAULTS = ['kill', 'freeze', 'fill'] as const;
export type DemoFault = (typeof FAULTS)[number];

/** Undoes a fault; resolves when the server can work again. */
type UndoFault = () => Promise<void>;

/** A way to use up the room of a server. */
interface FillMethod {
  /** What clients see, such as `memory full (OOM)`. */
  readonly effect: string;
  apply(): Promise<UndoFault>;
}

/** A server under load, with what can be done to it. */
export interface Victim {
  readonly name: string;
  readonly load: Load;
  readonly server: ServerHandle;
  /** Absent where neither the machine nor the server offers a way. */
  readonly fill: FillMethod | undefined;
}

/** The faults of one server, one after the other. */
export interface FaultTrack<V = Victim> {
  readonly victim: V;
  /** When the first one begins. */
  readonly startMs: number;
  /** From the beginning of one to that of the next, unless the recovery takes longer. */
  readonly slotMs: number;
  readonly faults: readonly { readonly kind: DemoFault; readonly holdMs: number }[];
}

/**
 * Each fault of each server once, in an order of the seed that begins with a kill. The servers take turns, so that their
 * faults overlap.
 */
export function planFaults<V extends Pick<Victim, 'fill'>>(
  victims: readonly V[],
  { seed, durationMs }: { seed: number; durationMs: number },
): FaultTrack<V>[] {
  const random = seededRandom(seed);
  const slotMs = durationMs / (FAULTS.length + (victims.length - 1) / victims.length);
  return shuffled(victims, random).map((victim, turn) => {
    const order = shuffled(FAULTS, random);
    const kinds =
      turn === 0 ? order.toSorted((a, b) => Number(b === 'kill') - Number(a === 'kill')) : order;
    return {
      victim,
      startMs: (turn * slotMs) / victims.length,
      slotMs,
      faults: kinds
        .filter((kind) => kind !== 'fill' || victim.fill !== undefined)
        .map((kind) => ({ kind, holdMs: Math.round(slotMs * (0.4 + 0.2 * random())) })),
    };
  });
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map((value) => ({ value, rank: random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ value }) => value);
}

/** What is printed when a fault begins and when it is undone. */
export const faultTexts: Readonly<Record<DemoFault, { began: string; ended: string }>> = {
  kill: { began: 'killed (SIGKILL)', ended: 'up again' },
  freeze: { began: 'frozen: it answers nothing', ended: 'thawed' },
  fill: { began: 'filled', ended: 'emptied' },
};

/** Resolves when the fault is in effect, with the function that undoes it. */
export async function inject({ server, fill }: Victim, kind: DemoFault): Promise<UndoFault> {
  if (kind === 'kill') {
    await server.kill();
    return () => server.start();
  }
  if (kind === 'freeze') {
    await server.freeze();
    return () => server.thaw();
  }
  const undo = await fill?.apply();
  return async () => {
    await undo?.();
    // Without room some servers end.
    if (server.state === 'stopped') await server.start();
  };
}

/** Redis refuses writes beyond `maxmemory` as it does on a machine without memory. */
export function fillRedis({ redis }: DemoServers): FillMethod {
  const setMaxMemory = (bytes: number): Promise<unknown> =>
    askRedis(redis.direct.url, (client) => client.config('SET', 'maxmemory', bytes));
  return {
    effect: 'its memory is full (OOM)',
    async apply() {
      await setMaxMemory(1);
      return async () => void (await setMaxMemory(0));
    },
  };
}

/** Its disk where it has one of its own, else all of its connections. */
export function fillPostgres({ postgres, hasDisks }: DemoServers): FillMethod {
  const { primary } = postgres;
  if (hasDisks) return fillDisk(primary, 'its disk is full (53100)');
  return {
    effect: 'all of its connections are taken (53300)',
    async apply() {
      // More than the server has; it tells the pool when there are no more.
      const database = createDatabase({
        hosts: primary.direct.url,
        max: 40,
        acquireTimeoutMs: 300,
      });
      const acquisitions = Array.from({ length: 40 }, () => database.acquire());
      const taken = await Promise.allSettled(acquisitions);
      return async () => {
        for (const each of taken) if (each.status === 'fulfilled') each.value.release();
        await database.close();
      };
    },
  };
}

/** Its disk where it has one of its own, else the answer of a full one; only the emulator can be made to give it. */
export function fillS3({ s3, hasDisks, mode }: DemoServers): FillMethod | undefined {
  if (hasDisks) return fillDisk(s3, 'its disk is full (507)');
  if (mode !== 'local') return undefined;
  return {
    effect: 'it answers that it has no room (507)',
    async apply() {
      const fault = { kind: 'error', status: 507, code: 'InsufficientStorage' } as const;
      await s3.setFaults([{ operation: 'PutObject', fault }]);
      return () => s3.setFaults([]);
    },
  };
}

function fillDisk(server: ServerHandle, effect: string): FillMethod {
  return {
    effect,
    async apply() {
      const fault = await server.fill('disk');
      return () => fault.undo();
    },
  };
}
