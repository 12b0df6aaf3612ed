import type { Client } from 'pg';
import { sqlStateOf } from '../connection/sql-state.ts';
import { isSpent } from './client-state.ts';
import { isStreaming } from './pool-query.ts';

/** The words of pg, which has no code for it. */
const READ_TIMEOUT = 'Query read timeout';

type Call = (...given: unknown[]) => unknown;

/**
 * The client's queries fail with pg's own errors, and those whose reply is lost also say what this means: `outcome` is
 * `unknown` and `retryable` is false, so that a policy around the call does not repeat it.
 */
export function tellOutcomes(client: Client): void {
  // A `rollback` after a lost `commit` is not sent, but its error is what ORMs show.
  let hasLost = false;
  const query = function query(this: Client, ...given: unknown[]): unknown {
    // Not bound: instrumentation replaces the method of the class, also later.
    const own: unknown = Reflect.get(Object.getPrototypeOf(client), 'query');
    if (typeof own !== 'function') throw new TypeError('the client has no query');
    endCopyInTime(given[0], client);
    const isUnsent = isSpent(client) && !hasLost;
    const tell = (error: unknown): unknown => {
      if (isUnsent || !isLost(error, client)) return error;
      hasLost = true;
      return Object.assign(error, { outcome: 'unknown', retryable: false });
    };
    const last = given.at(-1);
    if (isCall(last)) {
      const withOutcome: Call = (error, ...rest) => last(tell(error), ...rest);
      return Reflect.apply(own, client, [...given.slice(0, -1), withOutcome]);
    }
    const result: unknown = Reflect.apply(own, client, given);
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw tell(error);
    });
  };
  Object.defineProperty(client, 'query', { value: query, writable: true, configurable: true });
}

/**
 * A COPY that `query_timeout` ends has taken the connection over, which is of no use to others then. One that has
 * ended already must not fail: pg does not learn of its end.
 */
function endCopyInTime(query: unknown, client: Client): void {
  if (!isStreaming(query) || isCursor(query)) return;
  const failed: unknown = Reflect.get(query, 'handleError');
  if (!isCall(failed)) return;
  const submit = query.submit.bind(query);
  let isSubmitted = false;
  const handleError = (error: unknown, connection: unknown): void => {
    const isLate = isSubmitted && isTimeout(error);
    if (isLate) {
      if (Reflect.get(client, '_activeQuery') !== query) return;
      const { stream } = client.connection;
      stream.removeAllListeners('readable');
      stream.destroy();
    }
    Reflect.apply(failed, query, [error, connection]);
    // It would read on from the connection that is closed.
    if (isLate) Reflect.set(query, 'connection', null);
  };
  Object.assign(query, {
    handleError,
    submit(...given: Parameters<typeof submit>): void {
      isSubmitted = true;
      submit(...given);
    },
  });
}

/** A cursor, or a stream that has one inside. */
function isCursor(query: object): boolean {
  const cursor: unknown = Reflect.get(query, 'cursor') ?? query;
  return typeof cursor === 'object' && cursor !== null && 'state' in cursor;
}

/** Whether it is an error of the socket, or that of a `query_timeout`, to which nothing is added yet. */
function isLost(error: unknown, client: Client): error is object {
  if (typeof error !== 'object' || error === null || 'outcome' in error) return false;
  return sqlStateOf(error) === undefined && (isSpent(client) || isTimeout(error));
}

/** Not by `instanceof`, which fails for errors of Node's own realm. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && Reflect.get(error, 'message') === READ_TIMEOUT
  );
}

function isCall(value: unknown): value is Call {
  return typeof value === 'function';
}
