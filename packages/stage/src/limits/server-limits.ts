import { FaultUnsupportedError } from '../errors.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';

/** How a mode limits the memory of one server. */
export interface MemoryControl {
  /** Sets the limit, also for restarts; `undefined` removes it. @throws FaultUnsupportedError */
  limit(bytes: number | undefined, signal: AbortSignal): Promise<void>;
  /** The present use, as the limit counts it. @throws FaultUnsupportedError */
  usedBytes(signal: AbortSignal): Promise<number>;
}

/** How a mode fills the disk of one server. */
export interface DiskControl {
  /** Fills it up to `leaveBytes`; frees what was filled when it rejects. @throws FaultUnsupportedError */
  fill(leaveBytes: number, signal: AbortSignal): Promise<void>;
  /** Frees what was filled. */
  empty(): Promise<void>;
}

/** How a mode removes the network of one server. */
export interface NetworkControl {
  /** @throws FaultUnsupportedError */
  disconnect(signal: AbortSignal): Promise<void>;
  connect(signal: AbortSignal): Promise<void>;
}

/** How a mode impairs the packets that one server sends. */
export interface PacketControl {
  /** In force at once and for restarts; `undefined` removes it. @throws FaultUnsupportedError */
  impair(impairment: Impairment | undefined, signal: AbortSignal): Promise<void>;
}

/** The controls of one server; one is absent where the mode or the machine has none. */
export interface LimitControls {
  readonly memory?: MemoryControl | undefined;
  /** Absent when its disk is the machine's. */
  readonly disk?: DiskControl | undefined;
  /** Absent when its network is the machine's. */
  readonly network?: NetworkControl | undefined;
  readonly packets?: PacketControl | undefined;
}

const SHARED_NETWORK = 'it shares the network of the machine';
const OWN_NETWORK_REMEDY = `Use a standalone server on a stage opened with 'serverNetworks: true'`;

/** Restores what was before. */
export type UndoLimit = (signal: AbortSignal) => Promise<void>;

/** The verbs that limit one server; each resolves with the function that undoes it. */
export function createServerLimits(
  name: string,
  { memory, disk, network, packets }: LimitControls,
): {
  limit(bytes: number, signal: AbortSignal): Promise<UndoLimit>;
  fillMemory(leave: number, signal: AbortSignal): Promise<UndoLimit>;
  fillDisk(leaveBytes: number, signal: AbortSignal): Promise<UndoLimit>;
  disconnect(signal: AbortSignal): Promise<UndoLimit>;
  impair(impairment: Impairment, signal: AbortSignal): Promise<UndoLimit>;
} {
  const unsupported = (attempted: string, reason: string, remedy: string): Error =>
    new FaultUnsupportedError(name, attempted, reason, remedy);
  const memoryControl = (): MemoryControl => {
    if (memory !== undefined) return memory;
    const reason = 'nothing on this system limits the memory of a process';
    throw unsupported('limit its memory', reason, `Use mode 'docker'`);
  };
  const limit = overridable<number>((bytes, signal) => memoryControl().limit(bytes, signal));
  return {
    limit,
    async fillMemory(leave, signal) {
      return limit((await memoryControl().usedBytes(signal)) + leave, signal);
    },
    async fillDisk(leaveBytes, signal) {
      if (disk === undefined) {
        const remedy = `Open the stage with 'diskMaxBytes', which gives each server a disk of that size`;
        throw unsupported('fill its disk', 'its disk is that of the machine', remedy);
      }
      await disk.fill(leaveBytes, signal);
      return () => disk.empty();
    },
    async disconnect(signal) {
      if (network === undefined) {
        const remedy = `${OWN_NETWORK_REMEDY}, or cut its link, stage.network.cut(server)`;
        throw unsupported('take its network away', SHARED_NETWORK, remedy);
      }
      await network.disconnect(signal);
      return (later) => network.connect(later);
    },
    impair: overridable<Impairment>(async (impairment, signal) => {
      if (packets === undefined) {
        throw unsupported(
          'impair its packets',
          SHARED_NETWORK,
          `${OWN_NETWORK_REMEDY}. ${LINK_REMEDY}`,
        );
      }
      await packets.impair(impairment, signal);
    }),
  };
}

/** Applies a value; undoing it applies the value that was in force before. */
function overridable<T>(
  apply: (value: T | undefined, signal: AbortSignal) => Promise<void>,
): (value: T, signal: AbortSignal) => Promise<UndoLimit> {
  let active: T | undefined;
  return async (value, signal) => {
    const before = active;
    await apply(value, signal);
    active = value;
    return async (later) => {
      await apply(before, later);
      active = before;
    };
  };
}
