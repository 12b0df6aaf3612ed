import type { CacheLoad } from '@holdfast/cache';

/** A source whose answers a test gives one by one. */
export interface ControlledSource<T> {
  readonly load: CacheLoad<T>;
  /** The calls that were not answered yet. */
  readonly waiting: readonly {
    signal: AbortSignal;
    answer(value: T): void;
    fail(error: unknown): void;
  }[];
  readonly calls: number;
}

export function createSource<T>(): ControlledSource<T> {
  const waiting: ControlledSource<T>['waiting'][number][] = [];
  let calls = 0;
  return {
    waiting,
    get calls() {
      return calls;
    },
    load(signal) {
      calls += 1;
      return new Promise<T>((resolve, reject) => {
        const call = {
          signal,
          answer(value: T) {
            waiting.splice(waiting.indexOf(call), 1);
            resolve(value);
          },
          fail(error: unknown) {
            waiting.splice(waiting.indexOf(call), 1);
            // oxlint-disable-next-line promise/prefer-await-to-callbacks, prefer-promise-reject-errors -- as given
            reject(error);
          },
        };
        waiting.push(call);
      });
    },
  };
}
