import type { PoolClient, Submittable } from 'pg';
import { Query } from 'pg';
import { closesConnection, READ_ONLY, sqlStateOf } from '../connection/sql-state.ts';
import { mayHaveCommitted } from '../connection/transaction-control.ts';
import type { HostRouter } from '../hosts/host-router.ts';
import type { Checkout, Checkouts } from './checkouts.ts';

/** How often a statement goes to another host because the one it reached is a standby. */
const MAX_REDIRECTIONS = 3;

/** A cursor or a stream: it takes its own results, so the pool's caller gets it back instead of a promise. */
export function isStreaming(query: unknown): query is Submittable {
  if (typeof query !== 'object' || query === null || query instanceof Query) return false;
  return 'submit' in query && typeof query.submit === 'function';
}

/**
 * Runs one statement on a client of the pool. A statement that the server refused leaves its connection as it
 * was; any other failure closes it.
 */
export async function runQuery(
  acquire: () => Promise<Pick<Checkout, 'client' | 'release'> & Partial<Checkout>>,
  router: HostRouter,
  query: unknown,
  values: unknown,
): Promise<unknown> {
  for (let redirections = 0; ; redirections += 1) {
    const { client, pooled, release } = await acquire();
    const commands = tagsOf(client);
    try {
      const result = await send(client, query, values);
      release();
      return result;
    } catch (error) {
      release(isRefusal(error) ? undefined : error);
      const isMisdirected =
        pooled !== undefined &&
        sqlStateOf(error) === READ_ONLY &&
        router.reportReadOnly(pooled, 'write');
      const mayGo = isMisdirected && redirections < MAX_REDIRECTIONS;
      if (mayGo && !hasKept(query, commands.tags)) continue;
      // From here the trace leads to the caller instead of to the socket.
      if (error instanceof Error) Error.captureStackTrace(error);
      throw error;
    } finally {
      commands.stop();
    }
  }
}

/** Collects the command tags that the client receives. */
function tagsOf({ connection }: PoolClient): { readonly tags: string[]; stop(): void } {
  const tags: string[] = [];
  const add = (message: { readonly text?: unknown }): void => void tags.push(String(message.text));
  connection.on('commandComplete', add);
  return { tags, stop: () => void connection.off('commandComplete', add) };
}

/** Whether a part of a refused query may have been committed, as that of one whose text is not known here. */
function hasKept(query: unknown, commands: readonly string[]): boolean {
  const text: unknown =
    typeof query === 'object' && query !== null ? Reflect.get(query, 'text') : query;
  return typeof text !== 'string' || mayHaveCommitted({ commands, status: 'I', text });
}

/** Hands a cursor or a stream to a client, which returns to the pool when it has ended. */
export async function runStreaming(checkouts: Checkouts, query: Submittable): Promise<void> {
  try {
    const { client, releaseWhenDone } = await checkouts.acquire(false);
    // A stream may be destroyed before its client is there; nobody would end its query then.
    if (Reflect.get(query, 'destroyed') !== true) client.query(query);
    releaseWhenDone();
  } catch (error) {
    if ('handleError' in query && typeof query.handleError === 'function') query.handleError(error);
    else throw error;
  }
}

function send(client: PoolClient, query: unknown, values: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (error: unknown, result: unknown): void => {
      client.off('error', reject);
      if (error === undefined || error === null) resolve(result);
      else reject(error);
    };
    client.on('error', reject);
    Reflect.apply(client.query.bind(client), undefined, [query, values, done]);
  });
}

/** Whether the server sent the error, or pg before anything was sent, and the connection goes on. */
function isRefusal(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return !closesConnection(error);
  return error instanceof TypeError;
}
