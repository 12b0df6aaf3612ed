import { settleCallback, splitCallback } from './node-callback.ts';
import type { Execute } from './wrapped-redis.ts';

/** What is known of a client or a pool of pg. */
export interface PgClient {
  query(...args: never[]): unknown;
  connect(...args: never[]): unknown;
}

/**
 * The same client or pool, with faults before and behind each query; damage is done to the rows. The clients
 * that a pool hands out are wrapped as well. A cursor or stream of rows is left alone.
 */
export function wrappedPg<Client extends PgClient>(client: Client, execute: Execute): Client {
  return new Proxy(client, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      if (key === 'query')
        return (...given: unknown[]) => faultyQuery(target, member, given, execute);
      if (key !== 'connect') return member.bind(target);
      return (...given: unknown[]) => {
        const { args, callback } = splitCallback(given);
        if (callback === undefined) {
          return Promise.resolve(Reflect.apply(member, target, args)).then((one) =>
            wrappedIfClient(one, execute),
          );
        }
        return Reflect.apply(member, target, [
          ...args,
          (error: unknown, one: unknown, ...rest: unknown[]) =>
            Reflect.apply(callback, undefined, [error, wrappedIfClient(one, execute), ...rest]),
        ]);
      };
    },
  });
}

function faultyQuery(
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

function wrappedIfClient(one: unknown, execute: Execute): unknown {
  return isClient(one) ? wrappedPg(one, execute) : one;
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
