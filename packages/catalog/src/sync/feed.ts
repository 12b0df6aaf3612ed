import { TransformStream } from 'node:stream/web';

/** A consumer of an iterable, given its items one by one; each when the one before was taken. */
export interface Feed<T, R> {
  /** Resolves when there is room for the next one. @throws what the consumer ended with */
  add(item: T): Promise<void>;
  /** There are no more. Resolves with what the consumer returns. */
  end(): Promise<R>;
  /** What the consumer waits for will not come. */
  abort(reason: unknown): Promise<void>;
}

export function feed<T, R>(consume: (items: AsyncIterable<T>) => Promise<R>): Feed<T, R> {
  const { readable, writable } = new TransformStream<T, T>();
  const writer = writable.getWriter();
  const result = consume(readable);
  // A write waits until it is read, and so does the abort of one: a consumer that never read lets go of both.
  result.catch((error: unknown) => {
    if (!readable.locked) readable.cancel(error).catch(() => {});
  });
  // Who adds or ends hears of it.
  for (const promise of [result, writer.closed]) promise.catch(() => {});
  return {
    async add(item) {
      // A consumer that fails may leave its items where they are, or cancel them.
      const taken = writer.write(item).catch(() => result);
      await Promise.race([taken, result]);
    },
    async end() {
      writer.close().catch(() => {});
      return result;
    },
    async abort(reason) {
      await Promise.allSettled([writer.abort(reason), result]);
    },
  };
}
