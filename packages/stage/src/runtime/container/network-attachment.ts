import { FaultUnsupportedError } from '../../errors.ts';
import type { NetworkControl } from '../../limits/server-limits.ts';
import { type EngineAddress, askEngine, getFromEngine } from '../../system/container-engine.ts';
import { fieldOf } from '../../system/fields.ts';

/** A network that a container was disconnected from, and its names in it. */
interface Attachment {
  readonly network: string;
  readonly aliases: unknown;
}

/** Disconnects a container from all its networks, and connects it again under the same names. */
export function containerNetwork(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
): NetworkControl {
  let removed: readonly Attachment[] = [];
  const change = async (
    { network }: Attachment,
    verb: 'connect' | 'disconnect',
    options: object,
    signal: AbortSignal,
  ): Promise<void> => {
    const body = { Container: container(), ...options };
    const path = `/networks/${encodeURIComponent(network)}/${verb}`;
    await askEngine(engine, { method: 'POST', path, body, signal });
  };
  return {
    async disconnect(signal) {
      const inspected = await getFromEngine(engine, `/containers/${container()}/json`, signal);
      const networks = Object(fieldOf(fieldOf(inspected, 'NetworkSettings'), 'Networks'));
      if ('host' in networks) {
        const reason = 'its container shares the network of the machine';
        const remedy = 'Cut its link: stage.network.cut(server)';
        throw new FaultUnsupportedError(server, 'take its network away', reason, remedy);
      }
      removed = Object.entries(networks).map(([network, endpoint]) => ({
        network,
        aliases: fieldOf(endpoint, 'Aliases') ?? [],
      }));
      for (const each of removed) await change(each, 'disconnect', { Force: true }, signal);
    },
    async connect(signal) {
      for (const each of removed) {
        // The engine's default bridge supports no names.
        const endpoint = each.network === 'bridge' ? {} : { Aliases: each.aliases };
        await change(each, 'connect', { EndpointConfig: endpoint }, signal);
      }
      removed = [];
    },
  };
}
