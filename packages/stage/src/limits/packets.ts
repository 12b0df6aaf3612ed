import { readFile, readlink } from 'node:fs/promises';
import { commandFailure } from '../system/command.ts';
import { FaultUnsupportedError } from '../errors.ts';
import { type Impairment, LINK_REMEDY } from './impairment.ts';
import { netemArguments, checkNetem } from './netem.ts';
import type { PacketControl } from './server-limits.ts';

/** What becomes of packets, as this machine can do it. */
export interface PacketTool {
  /** Words for `tc`. */
  readonly arguments: (impairment: Impairment) => readonly string[];
  readonly check: typeof checkNetem;
}

const NETEM: PacketTool = { arguments: netemArguments, check: checkNetem };

/** The network of one server. */
export interface TargetNetwork {
  /** A process in it; 0 where there is none at the moment. */
  processId(signal: AbortSignal): Promise<number>;
  /** Whether packets that leave by a device are the server's to its clients. */
  affects(device: string): boolean;
}

/** Strikes the packets of a network from outside, by this machine's `tc`. */
export function createPacketControl(
  server: string,
  network: TargetNetwork,
  discipline: PacketTool = NETEM,
): PacketControl & {
  /** To be called for each new network of the server. */
  renew(signal: AbortSignal): Promise<void>;
} {
  let inForce: Impairment | undefined;
  const cannot = (reason: string, remedy: string): FaultUnsupportedError =>
    new FaultUnsupportedError(server, 'strike its packets', reason, remedy);

  const put = async (impairment: Impairment | undefined, signal: AbortSignal): Promise<void> => {
    const pid = await network.processId(signal);
    if (pid === 0) return;
    const path = `/proc/${pid}/ns/net`;
    // What is done in the machine's own network strikes everybody.
    if ((await readlink(path)) === (await readlink('/proc/self/ns/net'))) {
      throw cannot('its container shares the network of the machine', LINK_REMEDY);
    }
    const tell = (
      verb: string,
      device: string,
      words: readonly string[],
    ): Promise<string | undefined> => {
      const args = ['qdisc', verb, 'dev', device, 'root', ...words];
      return commandFailure('nsenter', [`--net=${path}`, 'tc', ...args], signal);
    };
    const devices = (await devicesOf(pid)).filter((device) => network.affects(device));
    if (impairment === undefined) {
      // Where nothing is in force it says so, and that is as good.
      for (const device of devices) await tell('del', device, []);
      return;
    }
    for (const device of devices) {
      const reason = await tell('replace', device, discipline.arguments(impairment));
      if (reason === undefined) continue;
      for (const struck of devices) await tell('del', struck, []);
      throw cannot(reason, LINK_REMEDY);
    }
  };

  return {
    async impair(impairment, signal) {
      if (impairment !== undefined) {
        const plan = await discipline.check(commandFailure, signal);
        if (!plan.available) throw cannot(plan.reason, plan.remedy);
      }
      await put(impairment, signal);
      inForce = impairment;
    },
    async renew(signal) {
      if (inForce !== undefined) await put(inForce, signal);
    },
  };
}

/** The devices of the network that a process is in. */
async function devicesOf(pid: number): Promise<string[]> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8');
  return table.split('\n').flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
}
