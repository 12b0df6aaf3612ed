import { fieldOf } from '../compose/project.ts';
import { FaultUnsupportedError } from '../../errors.ts';
import type { NetworkControl } from '../../limits/server-limits.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';

/** A network that a container has been taken off, and the names it had there. */
interface Attachment {
  readonly network: string;
  readonly aliases: unknown;
}

/** Takes a container off all its networks, and puts it back under the names it had there. */
export function containerNetwork(
  server: string,
  engine: EngineAddress,
  container: () => string | undefined,
): NetworkControl {
  let taken: readonly Attachment[] = [];
  const tell = async (
    { network }: Attachment,
    verb: 'connect' | 'disconnect',
    more: object,
    signal: AbortSignal,
  ): Promise<void> => {
    const body = { Container: container(), ...more };
    const path = `/networks/${encodeURIComponent(network)}/${verb}`;
    await askEngine(engine, { method: 'POST', path, body, signal });
  };
  return {
    async disconnect(signal) {
      const path = `/containers/${container()}/json`;
      const said: unknown = JSON.parse(
        (await askEngine(engine, { method: 'GET', path, signal })).toString('utf8'),
      );
      const networks = Object(fieldOf(fieldOf(said, 'NetworkSettings'), 'Networks'));
      if ('host' in networks) {
        const reason = 'its container shares the network of the machine';
        const remedy = 'Cut it off by its link: stage.network.cut(server)';
        throw new FaultUnsupportedError(server, 'take its network away', reason, remedy);
      }
      taken = Object.entries(networks).map(([network, endpoint]) => ({
        network,
        aliases: fieldOf(endpoint, 'Aliases') ?? [],
      }));
      for (const each of taken) await tell(each, 'disconnect', { Force: true }, signal);
    },
    async connect(signal) {
      for (const each of taken) {
        // The bridge that every engine has knows no names.
        const endpoint = each.network === 'bridge' ? {} : { Aliases: each.aliases };
        await tell(each, 'connect', { EndpointConfig: endpoint }, signal);
      }
      taken = [];
    },
  };
}
