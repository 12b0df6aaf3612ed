import { settleCallback, splitCallback } from './node-callback.ts';
import { type Execute, wrapMembers } from './wrap-members.ts';

/** The methods of a pg client or pool that are wrapped. */
export interface PgClient {
  query(...args: never[]): unknown;
  connect(...args: never[]): unknown;
}

/**
 * Wraps a client or pool so that faults are injected before and after each query; the rows are what is damaged. Clients
 * of a pool are wrapped too, also those that it passes to callbacks and listeners. A cursor or stream of rows is
 * delayed or fails as a whole.
 */
export function wrapPg<Client extends PgClient>(client: Client, execute: Execute): Client {
  return wrapMembers(client, {
    isClient: (value): value is object =>
      typeof value === 'object' && value !== null && 'query' in value && 'connect' in value,
    inject(key, member, target, { rewrap }) {
      if (key === 'query') return (args) => queryWithFaults(target, member, args, execute);
      if (key !== 'connect') return undefined;
      return (given) => {
        const { args, callback } = splitCallback(given);
        if (callback === undefined) return Reflect.apply(member, target, args);
        const passOn = (...outcome: unknown[]): unknown =>
          Reflect.apply(callback, undefined, outcome.map(rewrap));
        return Reflect.apply(member, target, [...args, passOn]);
      };
    },
  });
}

function queryWithFaults(
  target: object,
  query: Function,
  given: readonly unknown[],
  execute: Execute,
): unknown {
  const [first] = given;
  if (isSubmittable(first)) return submitWithFaults(first, target, query, given, execute);
  const { args, callback } = takeCallback(given);
  const answer = async (): Promise<unknown> => {
    let result: unknown;
    const asked = async (): Promise<unknown> => {
      result = await Reflect.apply(query, target, args);
      return hasRows(result) ? result.rows : result;
    };
    const rows = await execute(asked, connectionOf(target), undefined, args);
    return hasRows(result) ? Object.assign(result, { rows }) : rows;
  };
  return settleCallback(answer(), callback);
}

/** Takes the callback from the end of the arguments, or from the configuration of the query. */
function takeCallback(given: readonly unknown[]): ReturnType<typeof splitCallback> {
  const [config, ...rest] = given;
  if (typeof config !== 'object' || config === null || !('callback' in config)) {
    return splitCallback(given);
  }
  const { callback, ...others } = config;
  return callback === undefined ? splitCallback(given) : splitCallback([others, ...rest, callback]);
}

interface Submittable {
  handleError(error: unknown, connection: unknown): void;
}

/** Submits a query that takes its results itself, or gives it the error in place of them. */
function submitWithFaults(
  submittable: Submittable,
  target: object,
  query: Function,
  args: readonly unknown[],
  execute: Execute,
): unknown {
  let isSubmitted = false;
  const submit = async (): Promise<void> => {
    isSubmitted = true;
    Reflect.apply(query, target, args);
  };
  const submitted = execute(submit, connectionOf(target), undefined, args);
  submitted.catch((error: unknown) => {
    // A query that is on its way has its own end, unless it is read in parts.
    if (isSubmitted && !('read' in submittable)) return;
    submittable.handleError(error, Reflect.get(target, 'connection'));
  });
  return submittable;
}

/** Returns a client that has one connection; the clients of a pool answer in no order. */
function connectionOf(target: object): object | undefined {
  return 'totalCount' in target ? undefined : target;
}

function hasRows(result: unknown): result is { rows: unknown } {
  return typeof result === 'object' && result !== null && 'rows' in result;
}

function isSubmittable(value: unknown): value is Submittable {
  return typeof value === 'object' && value !== null && 'submit' in value && 'handleError' in value;
}
