import { readFile, readlink } from 'node:fs/promises';
import { commandFailure } from '../command.ts';
import { fieldOf } from '../compose/project.ts';
import { StageCannotError } from '../errors.ts';
import { type Impairment, LINK_INSTEAD } from '../impairment.ts';
import type { PacketControl } from '../resources.ts';
import { type EngineAddress, askEngine } from './engine.ts';
import { netem, planWith } from './netem.ts';

/** What becomes of packets, as this machine can do it. */
interface Discipline {
  /** Words for `tc`. */
  readonly words: (impairment: Impairment) => readonly string[];
  readonly plan: typeof planWith;
}

const NETEM: Discipline = { words: netem, plan: planWith };

/**
 * Strikes what a container sends, from outside: this machine's `tc` in the container's network, so that the
 * image needs neither `tc` nor a capability. A container's network ends with each of its runs, and what is in
 * force is put on the next.
 */
export function containerPackets(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
  discipline: Discipline = NETEM,
): PacketControl & {
  /** To be called for each new run of the container. */
  renew(signal: AbortSignal): Promise<void>;
} {
  let inForce: Impairment | undefined;
  const cannot = (why: string, wayOut: string): StageCannotError =>
    new StageCannotError(server, 'strike its packets', why, wayOut);

  /** The process that the container runs as; 0 where it does not. */
  const processId = async (signal: AbortSignal): Promise<number> => {
    const path = `/containers/${container()}/json`;
    const said = await askEngine(engine, { method: 'GET', path, signal });
    const pid = fieldOf(fieldOf(JSON.parse(said.toString('utf8')), 'State'), 'Pid');
    return typeof pid === 'number' ? pid : 0;
  };

  const put = async (impairment: Impairment | undefined, signal: AbortSignal): Promise<void> => {
    const pid = await processId(signal);
    if (pid === 0) return;
    const network = `/proc/${pid}/ns/net`;
    // What is done in the machine's own network strikes everybody.
    if ((await readlink(network)) === (await readlink('/proc/self/ns/net'))) {
      throw cannot('its container shares the network of the machine', LINK_INSTEAD);
    }
    const tell = (
      verb: string,
      device: string,
      words: readonly string[],
    ): Promise<string | undefined> => {
      const args = ['qdisc', verb, 'dev', device, 'root', ...words];
      return commandFailure('nsenter', [`--net=${network}`, 'tc', ...args], signal);
    };
    const devices = await devicesOf(pid);
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

/** The devices by which a process speaks to others. */
async function devicesOf(pid: number): Promise<string[]> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8');
  return table
    .split('\n')
    .flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? [])
    .filter((device) => device !== 'lo');
}
