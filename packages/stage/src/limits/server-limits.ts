import { StageCannotError } from '../errors.ts';
import { type Impairment, LINK_INSTEAD } from './impairment.ts';

/** Something done to a server that can be undone. */
export interface StageHarm {
  /** Undoes it; calling it again changes nothing. */
  undo(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a mode bounds the memory of one server. */
export interface MemoryControl {
  /** Bounds it from now on, over restarts too; `undefined` lifts the bound. @throws StageCannotError */
  limit(bytes: number | undefined, signal: AbortSignal): Promise<void>;
  /** What it uses now, as the bound counts it. @throws StageCannotError */
  usedBytes(signal: AbortSignal): Promise<number>;
}

/** How a mode bounds the disk of one server. */
export interface DiskControl {
  /** Takes the space up to `leaveBytes`. @throws StageCannotError */
  fill(leaveBytes: number): Promise<void>;
  /** Gives it back. */
  empty(): Promise<void>;
}

/** How a mode takes the network of one server away. */
export interface NetworkControl {
  /** @throws StageCannotError */
  disconnect(signal: AbortSignal): Promise<void>;
  connect(signal: AbortSignal): Promise<void>;
}

/** How a mode strikes the packets that one server sends. */
export interface PacketControl {
  /** From now on, over restarts too; `undefined` lets them pass as they are. @throws StageCannotError */
  impair(impairment: Impairment | undefined, signal: AbortSignal): Promise<void>;
}

const SHARES = 'it shares the network of the machine';
const OWN_NETWORK = `Have one that stands alone, on a stage opened with 'serverNetworks: true'`;

/** Undoes what was done. */
type Undo = (signal: AbortSignal) => Promise<void>;

/** The verbs of a server that squeeze what it lives on. */
export interface Resources {
  readonly memory: MemoryControl | undefined;
  readonly disk: DiskControl | undefined;
  readonly network: NetworkControl | undefined;
  readonly packets: PacketControl | undefined;
}

/** Each resolves with the way back to what was before. */
export function createSqueeze(
  name: string,
  { memory, disk, network, packets }: Resources,
): {
  limit(bytes: number, signal: AbortSignal): Promise<Undo>;
  fillMemory(leave: number, signal: AbortSignal): Promise<Undo>;
  fillDisk(leaveBytes: number): Promise<Undo>;
  disconnect(signal: AbortSignal): Promise<Undo>;
  impair(impairment: Impairment, signal: AbortSignal): Promise<Undo>;
} {
  const bound = inPlaceOfTheLast<number>((bytes, signal) =>
    memoryOf(name, memory).limit(bytes, signal),
  );
  return {
    limit: bound,
    async fillMemory(leave, signal) {
      return bound((await memoryOf(name, memory).usedBytes(signal)) + leave, signal);
    },
    async fillDisk(leaveBytes) {
      if (disk === undefined) {
        const wayOut = `Open the stage with 'diskMaxBytes', which gives each server a disk of that size`;
        throw new StageCannotError(
          name,
          'fill its disk',
          'its disk is that of the machine',
          wayOut,
        );
      }
      await disk.fill(leaveBytes);
      return () => disk.empty();
    },
    async disconnect(signal) {
      if (network === undefined) {
        const wayOut = `${OWN_NETWORK}, or cut it off by its link, stage.network.cut(server)`;
        throw new StageCannotError(name, 'take its network away', SHARES, wayOut);
      }
      await network.disconnect(signal);
      return (later) => network.connect(later);
    },
    impair: inPlaceOfTheLast<Impairment>(async (impairment, signal) => {
      if (packets === undefined) {
        const wayOut = `${OWN_NETWORK}. ${LINK_INSTEAD}`;
        throw new StageCannotError(name, 'strike its packets', SHARES, wayOut);
      }
      await packets.impair(impairment, signal);
    }),
  };
}

/** Puts a value in force, and on undoing the one that was in force before. */
function inPlaceOfTheLast<T>(
  put: (value: T | undefined, signal: AbortSignal) => Promise<void>,
): (value: T, signal: AbortSignal) => Promise<Undo> {
  let inForce: T | undefined;
  return async (value, signal) => {
    const before = inForce;
    await put(value, signal);
    inForce = value;
    return async (later) => {
      await put(before, later);
      inForce = before;
    };
  };
}

function memoryOf(name: string, memory: MemoryControl | undefined): MemoryControl {
  if (memory !== undefined) return memory;
  const why = 'nothing on this system bounds the memory of a process';
  throw new StageCannotError(name, 'bound its memory', why, `Use mode 'docker'`);
}
