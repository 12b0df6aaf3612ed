import { FaultUnsupportedError } from '../errors.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';

/** Something done to a server that can be undone. */
export interface StageFault {
  /** Undoes it; calling it again changes nothing. */
  undo(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a mode bounds the memory of one server. */
export interface MemoryControl {
  /** Bounds it from now on, over restarts too; `undefined` lifts the bound. @throws FaultUnsupportedError */
  limit(bytes: number | undefined, signal: AbortSignal): Promise<void>;
  /** What it uses now, as the bound counts it. @throws FaultUnsupportedError */
  usedBytes(signal: AbortSignal): Promise<number>;
}

/** How a mode bounds the disk of one server. */
export interface DiskControl {
  /** Takes the space up to `leaveBytes`. @throws FaultUnsupportedError */
  fill(leaveBytes: number): Promise<void>;
  /** Gives it back. */
  empty(): Promise<void>;
}

/** How a mode takes the network of one server away. */
export interface NetworkControl {
  /** @throws FaultUnsupportedError */
  disconnect(signal: AbortSignal): Promise<void>;
  connect(signal: AbortSignal): Promise<void>;
}

/** How a mode strikes the packets that one server sends. */
export interface PacketControl {
  /** From now on, over restarts too; `undefined` lets them pass as they are. @throws FaultUnsupportedError */
  impair(impairment: Impairment | undefined, signal: AbortSignal): Promise<void>;
}

const SHARED_NETWORK = 'it shares the network of the machine';
const OWN_NETWORK_REMEDY = `Have one that stands alone, on a stage opened with 'serverNetworks: true'`;

/** Undoes what was done. */
type Undo = (signal: AbortSignal) => Promise<void>;

/** The verbs of a server that squeeze what it lives on. */
export interface LimitControls {
  readonly memory: MemoryControl | undefined;
  readonly disk: DiskControl | undefined;
  readonly network: NetworkControl | undefined;
  readonly packets: PacketControl | undefined;
}

/** Each resolves with the way back to what was before. */
export function createServerLimits(
  name: string,
  { memory, disk, network, packets }: LimitControls,
): {
  limit(bytes: number, signal: AbortSignal): Promise<Undo>;
  fillMemory(leave: number, signal: AbortSignal): Promise<Undo>;
  fillDisk(leaveBytes: number): Promise<Undo>;
  disconnect(signal: AbortSignal): Promise<Undo>;
  impair(impairment: Impairment, signal: AbortSignal): Promise<Undo>;
} {
  const bound = overridable<number>((bytes, signal) =>
    requireMemoryControl(name, memory).limit(bytes, signal),
  );
  return {
    limit: bound,
    async fillMemory(leave, signal) {
      return bound((await requireMemoryControl(name, memory).usedBytes(signal)) + leave, signal);
    },
    async fillDisk(leaveBytes) {
      if (disk === undefined) {
        const remedy = `Open the stage with 'diskMaxBytes', which gives each server a disk of that size`;
        throw new FaultUnsupportedError(
          name,
          'fill its disk',
          'its disk is that of the machine',
          remedy,
        );
      }
      await disk.fill(leaveBytes);
      return () => disk.empty();
    },
    async disconnect(signal) {
      if (network === undefined) {
        const remedy = `${OWN_NETWORK_REMEDY}, or cut it off by its link, stage.network.cut(server)`;
        throw new FaultUnsupportedError(name, 'take its network away', SHARED_NETWORK, remedy);
      }
      await network.disconnect(signal);
      return (later) => network.connect(later);
    },
    impair: overridable<Impairment>(async (impairment, signal) => {
      if (packets === undefined) {
        const remedy = `${OWN_NETWORK_REMEDY}. ${LINK_REMEDY}`;
        throw new FaultUnsupportedError(name, 'strike its packets', SHARED_NETWORK, remedy);
      }
      await packets.impair(impairment, signal);
    }),
  };
}

/** Puts a value in force, and on undoing the one that was in force before. */
function overridable<T>(
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

function requireMemoryControl(name: string, memory: MemoryControl | undefined): MemoryControl {
  if (memory !== undefined) return memory;
  const reason = 'nothing on this system bounds the memory of a process';
  throw new FaultUnsupportedError(name, 'bound its memory', reason, `Use mode 'docker'`);
}
