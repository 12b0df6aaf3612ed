import { readFile, readlink } from 'node:fs/promises';
import { FaultUnsupportedError } from '../errors.ts';
import { commandFailure } from '../system/command.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';
import { checkNetem, netemArguments } from './netem.ts';
import type { PacketControl } from './server-limits.ts';

/** The queueing discipline by which packets are impaired. */
export interface PacketTool {
  /** Arguments of `tc`. */
  readonly arguments: (impairment: Impairment) => readonly string[];
  readonly check: typeof checkNetem;
}

const NETEM: PacketTool = { arguments: netemArguments, check: checkNetem };

/** The network of one server. */
interface TargetNetwork {
  /** A process in that network; 0 while there is none. */
  processId(signal: AbortSignal): Promise<number>;
  /** Whether the server sends packets to its clients by a device. */
  affects(device: string): boolean;
}

/** A packet control that can be applied again to a new network of its server. */
export interface ReappliedPackets extends PacketControl {
  /** Impairs a new network of the server as the one before. */
  reapply(signal: AbortSignal): Promise<void>;
}

/** Impairs the packets of a network from outside, by this machine's `tc`. */
export function createPacketControl(
  server: string,
  network: TargetNetwork,
  tool: PacketTool = NETEM,
): ReappliedPackets {
  let active: Impairment | undefined;
  const unsupported = (reason: string, remedy: string): FaultUnsupportedError =>
    new FaultUnsupportedError(server, 'impair its packets', reason, remedy);

  const apply = async (impairment: Impairment | undefined, signal: AbortSignal): Promise<void> => {
    const pid = await network.processId(signal);
    if (pid === 0) return;
    const path = `/proc/${pid}/ns/net`;
    // In the machine's own network it would impair all processes.
    if ((await readlink(path)) === (await readlink('/proc/self/ns/net'))) {
      throw unsupported('its container shares the network of the machine', LINK_REMEDY);
    }
    const changeDiscipline = (
      verb: 'del' | 'replace',
      device: string,
      discipline: readonly string[],
    ): Promise<string | undefined> => {
      const args = ['qdisc', verb, 'dev', device, 'root', ...discipline];
      return commandFailure('nsenter', [`--net=${path}`, 'tc', ...args], signal);
    };
    const devices = (await devicesOf(pid)).filter((device) => network.affects(device));
    const remove = async (): Promise<void> => {
      // It fails where nothing is in force, which has the same result.
      for (const device of devices) await changeDiscipline('del', device, []);
    };
    if (impairment === undefined) return remove();
    for (const device of devices) {
      const reason = await changeDiscipline('replace', device, tool.arguments(impairment));
      if (reason === undefined) continue;
      await remove();
      throw unsupported(reason, LINK_REMEDY);
    }
  };

  return {
    async impair(impairment, signal) {
      if (impairment !== undefined) {
        const netem = await tool.check(commandFailure, signal);
        if (!netem.available) throw unsupported(netem.reason, netem.remedy);
      }
      await apply(impairment, signal);
      active = impairment;
    },
    async reapply(signal) {
      if (active !== undefined) await apply(active, signal);
    },
  };
}

/** The devices of the network that a process is in. */
async function devicesOf(pid: number): Promise<string[]> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8');
  return table.split('\n').flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
}
