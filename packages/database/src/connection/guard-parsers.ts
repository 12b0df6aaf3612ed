import { type Client, Query } from 'pg';
import { describeValue } from '@holdfast/foundation';

/** pg's own mark of a query: what a parser has thrown. pg skips the rows then, and calls back with it once the server is ready. */
const MARK = '_canceledDueToError';
/** Stands for nothing thrown, so that it differs from all that may be: pg only asks whether the mark is truthy. */
const NOTHING = Number.NaN;

/**
 * Makes a `getTypeParser` that throws fail its own query, as pg does with a parser that throws: pg lets it end the
 * process. A cursor reads its own answer, so its connection is closed. And makes what is falsy an error: pg would return
 * the rows without those that the parser has thrown at.
 */
export function guardParsers(client: Client): void {
  const { connection } = client;
  const listeners = connection.listeners('rowDescription');
  connection.removeAllListeners('rowDescription');
  /** The query whose mark is no longer pg's own, which is what a parser may throw too. */
  let marked: Query | undefined;
  connection.on('rowDescription', (message: unknown) => {
    const query: unknown = Reflect.get(client, '_activeQuery');
    const isMarked = query instanceof Query && Reflect.has(query, MARK);
    if (isMarked && query !== marked) {
      Reflect.set(query, MARK, NOTHING);
      marked = query;
    }
    try {
      for (const listener of listeners) Reflect.apply(listener, connection, [message]);
    } catch (error) {
      const thrown = error || thrownNothing('getTypeParser', error);
      if (isMarked) Reflect.set(query, MARK, thrown);
      else connection.emit('error', thrown);
    }
  });
  connection.prependListener('readyForQuery', () => {
    const query = marked;
    marked = undefined;
    if (query === undefined || query !== Reflect.get(client, '_activeQuery')) return;
    const thrown: unknown = Reflect.get(query, MARK);
    if (Object.is(thrown, NOTHING)) Reflect.set(query, MARK, false);
    else if (!thrown) Reflect.set(query, MARK, thrownNothing('a type parser', thrown));
  });
}

function thrownNothing(who: string, thrown: unknown): TypeError {
  return new TypeError(`${who} has thrown ${describeValue(thrown)} instead of an error`);
}
