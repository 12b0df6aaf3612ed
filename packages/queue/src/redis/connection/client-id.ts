import type { IoredisClient } from '../connector.ts';

/** The id that a server has given to one of its clients. */
export interface ClientId {
  /** The run id of the server process: client ids are unique within one process only. */
  readonly server: string;
  readonly connection: number;
}

/**
 * Asks the server for the id of this client.
 * @param info the `server` section of the server's INFO.
 * @returns `undefined` when the server does not tell, or this user may not ask.
 */
export async function clientIdOf(
  client: IoredisClient,
  info: string,
): Promise<ClientId | undefined> {
  const [, server] = /^run_id:(\w+)/mu.exec(info) ?? [];
  if (server === undefined) return undefined;
  const connection = await client.call('CLIENT', 'ID').catch(() => undefined);
  return typeof connection === 'number' ? { server, connection } : undefined;
}

/**
 * Makes the server close an abandoned connection and drop the commands that are still in transit on it. A read that
 * is executed late would take jobs that no consumer receives, and jobs read meanwhile would overtake them. Where the
 * connection cannot be closed, these jobs are recovered as well, but later.
 * @param client the connection that replaced it.
 */
export async function killPreviousClient(
  client: IoredisClient,
  former: ClientId,
  present: ClientId,
): Promise<void> {
  if (former.server !== present.server) return;
  await client.call('CLIENT', 'KILL', 'ID', former.connection).catch(() => undefined);
}
