import { propertyOf } from '@holdfast/foundation';
import type { Client } from 'pg';

/** Whether pg would queue a further query on the client: one is under way, or its last reply is incomplete. */
export function isBusy(client: Client): boolean {
  if (Reflect.get(client, 'readyForQuery') !== true) return true;
  return isFilled(client, '_queryQueue') || isFilled(client, '_sentQueryQueue');
}

/** Whether the client takes no queries any more: its connection failed, or its user has ended it. */
export function isSpent(client: Client): boolean {
  return Reflect.get(client, '_queryable') !== true || Reflect.get(client, '_ending') === true;
}

/** The time that the client gives each of its queries; `undefined` if it is without a limit. */
export function queryTimeoutMs(client: Client): number | undefined {
  const parameters: unknown = Reflect.get(client, 'connectionParameters');
  const timeoutMs = Number(propertyOf(parameters, 'query_timeout'));
  return timeoutMs > 0 ? timeoutMs : undefined;
}

/** Resolves once the client is idle, or has ended. */
export function drained(client: Client): Promise<void> {
  if (!isBusy(client)) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      client.off('drain', settle);
      client.off('end', settle);
      resolve();
    };
    client.on('drain', settle);
    client.on('end', settle);
  });
}

/**
 * A cursor that is closed waits for a reply, and one whose connection is lost would wait for ever: whoever waits
 * for one reply, now or later, is called as if it had come.
 */
export function answerWhenLost({ connection }: Client): void {
  for (const listener of connection.rawListeners('readyForQuery')) {
    if ('listener' in listener) Reflect.apply(listener, connection, []);
  }
  connection.on('newListener', (event: unknown, listener: () => void) => {
    if (event !== 'readyForQuery') return;
    setImmediate(() => {
      connection.off('readyForQuery', listener);
      listener();
    });
  });
}

function isFilled(client: Client, field: string): boolean {
  const queue: unknown = Reflect.get(client, field);
  return Array.isArray(queue) && queue.length > 0;
}

/**
 * A cursor that has received its last row hears of no error any more, and whoever reads from it would wait for ever.
 * Must listen before pg does, which forgets the cursor.
 */
export function failCompletedCursors(client: Client): void {
  const { connection } = client;
  const check = (error: unknown): void => {
    const cursor = activeCursor(client);
    if (cursor === undefined) return;
    const read: unknown = Reflect.get(cursor, '_cb');
    if (Reflect.get(cursor, 'state') !== 'done' || typeof read !== 'function') return;
    Reflect.set(cursor, '_cb', null);
    const lost = error ?? new Error('Connection terminated unexpectedly');
    process.nextTick(() => Reflect.apply(read, cursor, [lost]));
  };
  connection.on('errorMessage', check);
  connection.on('error', check);
  connection.once('end', () => check(undefined));
}

/**
 * A cursor that failed between two reads, as by `query_timeout`, forgets it when its connection is ready again: the
 * next read would find no rows, and a stream would end as if it were complete. Must listen before pg does.
 */
export function keepErrorsOfCursors(client: Client): void {
  client.connection.on('readyForQuery', () => {
    const cursor = activeCursor(client);
    if (cursor === undefined || Reflect.get(cursor, 'state') !== 'error') return;
    const error: unknown = Reflect.get(cursor, '_error');
    const read = (_rows: unknown, done: unknown): unknown => {
      if (typeof done !== 'function') return Promise.reject(error);
      setImmediate(() => Reflect.apply(done, cursor, [error]));
      return undefined;
    };
    Object.defineProperty(cursor, 'read', { value: read, configurable: true, writable: true });
  });
}

/** The cursor that the client serves: its query, or what is inside of a stream. */
function activeCursor(client: Client): object | undefined {
  const active: unknown = Reflect.get(client, '_activeQuery');
  if (typeof active !== 'object' || active === null) return undefined;
  const cursor: unknown = Reflect.get(active, 'cursor') ?? active;
  return typeof cursor === 'object' && cursor !== null ? cursor : undefined;
}
