import {
  type PacketTool,
  type ReappliedPackets,
  createPacketControl,
} from '../../limits/packets.ts';
import { type EngineAddress, getFromEngine } from '../../system/container-engine.ts';
import { fieldOf } from '../../system/fields.ts';

/**
 * Impairs the packets that a container sends, from outside, so that the image needs neither `tc` nor a
 * capability. Each run of a container has a new network, to which the impairment is applied again.
 */
export function containerPackets(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
  tool?: PacketTool,
): ReappliedPackets {
  const network = {
    async processId(signal: AbortSignal): Promise<number> {
      const inspected = await getFromEngine(engine, `/containers/${container()}/json`, signal);
      const pid = fieldOf(fieldOf(inspected, 'State'), 'Pid');
      return typeof pid === 'number' ? pid : 0;
    },
    affects: (device: string) => device !== 'lo',
  };
  return createPacketControl(server, network, tool);
}
