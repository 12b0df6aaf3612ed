import { isNativeError } from 'node:util/types';
import { BackendError } from '../../errors.ts';
import type { IoredisClient } from '../connector.ts';

/**
 * Selects the client's database. The client does so as well, but stays in database 0 when the server refuses.
 * @throws BackendError (`unsupported`) when the server has no such database.
 */
export async function selectDatabase(client: IoredisClient): Promise<void> {
  const { db = 0 } = client.options;
  if (db === 0) return;
  try {
    await client.call('SELECT', db);
  } catch (error) {
    if (!isNativeError(error) || !error.message.startsWith('ERR ')) throw error;
    const wayOut = 'choose another one, or set "databases" in the configuration of Redis';
    throw new BackendError(
      'unsupported',
      `Redis has no database ${db} (${error.message}): ${wayOut}`,
      error,
    );
  }
}
