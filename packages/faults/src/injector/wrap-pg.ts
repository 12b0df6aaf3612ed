import { settleCallback, splitCallback } from './node-callback.ts';
import type { Execute } from './wrap-redis.ts';

/** The methods of a pg client or pool that are wrapped. */
export interface PgClient {
  query(...args: never[]): unknown;
  connect(...args: never[]): unknown;
}

/**
 * Wraps a client or pool so that faults are injected before and after each query; the rows are what is damaged. Clients
 * of a pool are wrapped too. Cursors and streams of rows are not.
 */
export function wrapPg<Client extends PgClient>(client: Client, execute: Execute): Client {
  return new Proxy(client, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      if (key === 'query')
        return (...given: unknown[]) => queryWithFaults(target, member, given, execute);
      if (key !== 'connect') return member.bind(target);
      return (...given: unknown[]) => {
        const { args, callback } = splitCallback(given);
        if (callback === undefined) {
          return Promise.resolve(Reflect.apply(member, target, args)).then((one) =>
            wrapIfClient(one, execute),
          );
        }
        return Reflect.apply(member, target, [
          ...args,
          (error: unknown, one: unknown, ...rest: unknown[]) =>
            Reflect.apply(callback, undefined, [error, wrapIfClient(one, execute), ...rest]),
        ]);
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
  const { args, callback } = splitCallback(given);
  if (isSubmittable(args[0])) return Reflect.apply(query, target, given);
  const answer = async (): Promise<unknown> => {
    let result: unknown;
    const rows = await execute(async () => {
      result = await Reflect.apply(query, target, args);
      return hasRows(result) ? result.rows : result;
    });
    return hasRows(result) ? Object.assign(result, { rows }) : rows;
  };
  return settleCallback(answer(), callback);
}

function wrapIfClient(one: unknown, execute: Execute): unknown {
  return isClient(one) ? wrapPg(one, execute) : one;
}

function isClient(one: unknown): one is PgClient {
  return typeof one === 'object' && one !== null && 'query' in one && 'connect' in one;
}

function hasRows(result: unknown): result is { rows: unknown } {
  return typeof result === 'object' && result !== null && 'rows' in result;
}

function isSubmittable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'submit' in value;
}
