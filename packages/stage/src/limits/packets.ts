import { readFile, readlink } from 'node:fs/promises';
import { commandFailure } from '../system/command.ts';
import { StageCannotError } from '../errors.ts';
import { type Impairment, LINK_INSTEAD } from './impairment.ts';
import { netem, planWith } from './netem.ts';
import type { PacketControl } from './server-limits.ts';

/** What becomes of packets, as this machine can do it. */
export interface Discipline {
  /** Words for `tc`. */
  readonly words: (impairment: Impairment) => readonly string[];
  readonly plan: typeof planWith;
}

const NETEM: Discipline = { words: netem, plan: planWith };

/** The network of one server. */
export interface StruckNetwork {
  /** A process in it; 0 where there is none at the moment. */
  processId(signal: AbortSignal): Promise<number>;
  /** Whether packets that leave by a device are the server's to its clients. */
  isStruck(device: string): boolean;
}

/** Strikes the packets of a network from outside, by this machine's `tc`. */
export function networkPackets(
  server: string,
  network: StruckNetwork,
  discipline: Discipline = NETEM,
): PacketControl & {
  /** To be called for each new network of the server. */
  renew(signal: AbortSignal): Promise<void>;
} {
  let inForce: Impairment | undefined;
  const cannot = (why: string, wayOut: string): StageCannotError =>
    new StageCannotError(server, 'strike its packets', why, wayOut);

  const put = async (impairment: Impairment | undefined, signal: AbortSignal): Promise<void> => {
    const pid = await network.processId(signal);
    if (pid === 0) return;
    const path = `/proc/${pid}/ns/net`;
    // What is done in the machine's own network strikes everybody.
    if ((await readlink(path)) === (await readlink('/proc/self/ns/net'))) {
      throw cannot('its container shares the network of the machine', LINK_INSTEAD);
    }
    const tell = (
      verb: string,
      device: string,
      words: readonly string[],
    ): Promise<string | undefined> => {
      const args = ['qdisc', verb, 'dev', device, 'root', ...words];
      return commandFailure('nsenter', [`--net=${path}`, 'tc', ...args], signal);
    };
    const devices = (await devicesOf(pid)).filter((device) => network.isStruck(device));
    if (impairment === undefined) {
      // Where nothing is in force it says so, and that is as good.
      for (const device of devices) await tell('del', device, []);
      return;
    }
    for (const device of devices) {
      const why = await tell('replace', device, discipline.words(impairment));
      if (why === undefined) continue;
      for (const struck of devices) await tell('del', struck, []);
      throw cannot(why, LINK_INSTEAD);
    }
  };

  return {
    async impair(impairment, signal) {
      if (impairment !== undefined) {
        const plan = await discipline.plan(commandFailure, signal);
        if (!plan.available) throw cannot(plan.why, plan.wayOut);
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
