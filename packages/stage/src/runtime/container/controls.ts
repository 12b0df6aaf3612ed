import type { ServerDriver } from '../../handle/driver.ts';
import type { ReappliedPackets } from '../../limits/packets.ts';
import type { EngineAddress } from '../../system/container-engine.ts';
import { readLogs } from './lifecycle.ts';
import { containerMemory } from './memory.ts';
import { containerNetwork } from './network-attachment.ts';
import { containerPackets } from './packets.ts';

/** The parts of a driver that are the same for every container. */
interface ContainerControls extends Pick<ServerDriver, 'memory' | 'network' | 'log'> {
  readonly packets: ReappliedPackets;
}

/** @param container the id of the present container; `undefined` before there is one. */
export function containerControls(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
  logMaxBytes: number,
): ContainerControls {
  return {
    memory: containerMemory(server, engine, container),
    network: containerNetwork(server, engine, container),
    packets: containerPackets(server, engine, container),
    async log(signal) {
      const id = container();
      if (id === undefined) return '';
      const printed = await readLogs(engine, id, signal);
      return printed.subarray(-logMaxBytes).toString('utf8');
    },
  };
}
