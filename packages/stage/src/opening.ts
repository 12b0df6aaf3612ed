import { reservePort } from './ports.ts';
import type { Address, ServerKind, StageContext } from './server-kind.ts';
import { type ServerDriver, type StagedServer, stageServer } from './server.ts';

/** How many ports are tried when others keep taking them in the moment before the server does. */
const MAX_PORTS = 5;

/**
 * Opens one server, in whatever mode `seat` provides for it, on a free port of 127.0.0.1, and resolves
 * at its first answer. Nothing is left of it when this rejects.
 */
export async function openServer(
  kind: ServerKind,
  context: StageContext,
  seat: (address: Address) => Promise<ServerDriver>,
  signal: AbortSignal,
): Promise<StagedServer> {
  for (let attempt = 1; ; attempt += 1) {
    const reserved = await reservePort(context.random);
    const address = { host: '127.0.0.1', port: reserved.port };
    const driver = await seat(address).catch(async (error: unknown) => {
      await reserved.release();
      throw error;
    });
    const server = stageServer(
      { ...context, ...address, name: kind.name, url: kind.url(address) },
      {
        ...driver,
        async discard(limit) {
          try {
            await driver.discard(limit);
          } finally {
            await reserved.release();
          }
        },
      },
    );
    try {
      await server.handle.start({ signal });
      return server;
    } catch (error) {
      const wasTaken = !(await reserved.isFree());
      await server.close();
      if (!wasTaken || attempt === MAX_PORTS) throw error;
    }
  }
}
