import { fieldOf } from '../compose/project.ts';
import { type PacketTool, createPacketControl } from '../../limits/packets.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';

/**
 * Strikes what a container sends, from outside, so that the image needs neither `tc` nor a capability. A
 * container's network ends with each of its runs, and what is in force is put on the next.
 */
export function containerPackets(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
  discipline?: PacketTool,
): ReturnType<typeof createPacketControl> {
  const network = {
    async processId(signal: AbortSignal): Promise<number> {
      const path = `/containers/${container()}/json`;
      const said = await askEngine(engine, { method: 'GET', path, signal });
      const pid = fieldOf(fieldOf(JSON.parse(said.toString('utf8')), 'State'), 'Pid');
      return typeof pid === 'number' ? pid : 0;
    },
    affects: (device: string) => device !== 'lo',
  };
  return createPacketControl(server, network, discipline);
}
