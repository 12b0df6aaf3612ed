import type { PostgresQuery } from '@holdfast/operations';
import { Client } from 'pg';

/** One session that is opened anew after it was lost, as a member of a failover wants it. */
interface PostgresSession {
  readonly query: PostgresQuery;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 1_000;

/** A session on the server; nothing is opened before the first statement. */
export function openPostgresSession(url: string): PostgresSession {
  let current: Client | undefined;
  const connect = async (): Promise<Client> => {
    if (current !== undefined) return current;
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    client.on('error', () => {
      if (current === client) current = undefined;
    });
    await client.connect();
    current = client;
    return client;
  };
  const drop = (client: Client | undefined): void => {
    if (current === client) current = undefined;
    client?.end().catch(() => {});
  };
  return {
    async query(sql, parameters, { signal }) {
      signal.throwIfAborted();
      const client = await connect();
      const end = (): void => drop(client);
      signal.addEventListener('abort', end, { once: true });
      try {
        const { rows } = await client.query(sql, [...parameters]);
        return { rows };
      } finally {
        signal.removeEventListener('abort', end);
      }
    },
    async close() {
      const client = current;
      current = undefined;
      await client?.end().catch(() => {});
    },
  };
}
