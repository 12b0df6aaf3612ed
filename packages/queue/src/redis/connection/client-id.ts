import type { Redis } from 'ioredis';

/** One connection as its server knows it. */
export interface ClientId {
  /** The server's process: numbers of connections mean nothing to another one. */
  readonly server: string;
  readonly connection: number;
}

/**
 * What a connection is called by its server.
 * @param printed the server section of its INFO.
 * @returns `undefined` where the server does not say, or this user may not ask.
 */
export async function clientIdOf(client: Redis, printed: string): Promise<ClientId | undefined> {
  const [, server] = /^run_id:(\w+)/mu.exec(printed) ?? [];
  if (server === undefined) return undefined;
  const connection = await client.client('ID').catch(() => undefined);
  return connection === undefined ? undefined : { server, connection };
}

/**
 * Has the server drop a connection that was given up, and all that is still on its way there: a read that is
 * executed late would take jobs nobody hears of, and those read meanwhile would overtake them. Where it cannot be
 * dropped, these jobs are recovered all the same, though later.
 * @param client the connection that came after it.
 */
export async function killPreviousClient(
  client: Redis,
  former: ClientId,
  present: ClientId,
): Promise<void> {
  if (former.server !== present.server) return;
  await client.call('CLIENT', 'KILL', 'ID', former.connection).catch(() => undefined);
}
