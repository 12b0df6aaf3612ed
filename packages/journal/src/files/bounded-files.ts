// Not the global one, which a test may fake: the event loop has to take a real turn.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '@holdfast/foundation';
import { awakeClock } from './awake-clock.ts';
import type { FileSystem, OpenFile } from './file-system.ts';

interface Bounds {
  readonly clock: Clock;
  /** The longest a call may take, its wait for earlier calls included, in milliseconds in which the process runs. */
  readonly ioTimeoutMs: number;
  /** The most calls at once: a disk that hangs holds a thread of the process for each. */
  readonly maxConcurrent: number;
}

/** A call to the disk that did not return in time; it may still take effect. */
export function timedOut(tried: string, ioTimeoutMs: number): Error {
  const message = `${tried} did not return within ${ioTimeoutMs} ms`;
  return Object.assign(new Error(message), { code: 'ETIMEDOUT', syscall: tried });
}

/** The calls of one directory, by its path: an opening that is tried again stays behind calls that still hang. */
const queuesByFiles = new WeakMap<FileSystem, Map<string, CallQueue>>();

interface Call<T> {
  readonly tried: string;
  readonly make: () => Promise<T>;
  /** Receives the result of a call that returned after its deadline. */
  readonly onLate?: ((result: T) => void) | undefined;
  /** Made in its turn even if the caller has been told that it did not return. */
  readonly isDue?: boolean;
}

/**
 * Runs a bounded number of calls at once. A call whose turn does not come in time is not made; while as many calls
 * hang as may run, further ones fail at once.
 */
class CallQueue {
  #running = 0;
  /** Calls that run although their callers were told that they did not return. */
  #hanging = 0;
  readonly #waiting: { readonly start: () => void; readonly giveUp: () => void }[] = [];

  get isIdle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  run<T>({ tried, make, onLate, isDue = false }: Call<T>, bounds: Bounds): Promise<T> {
    const { clock, ioTimeoutMs, maxConcurrent } = bounds;
    return new Promise((resolve, reject) => {
      let state: 'waiting' | 'running' | 'settled' = 'waiting';
      let isGivenUp = false;
      const giveUp = (): void => {
        if (state === 'settled' || isGivenUp) return;
        isGivenUp = true;
        timer.cancel();
        reject(timedOut(tried, ioTimeoutMs));
        if (state !== 'running') return;
        this.#hanging += 1;
        if (this.#hanging < maxConcurrent) return;
        for (const waiting of this.#waiting) waiting.giveUp();
      };
      const onTime = async (): Promise<void> => {
        // After a blockade of the event loop timers come first: the call may have returned long ago.
        await nextTurn();
        await nextTurn();
        giveUp();
      };
      const timer = clock.schedule(ioTimeoutMs, () => void onTime());
      const end = (settle: () => void): void => {
        state = 'settled';
        timer.cancel();
        this.#running -= 1;
        if (isGivenUp) this.#hanging -= 1;
        settle();
        this.#next();
      };
      const start = (): void => {
        if (isGivenUp && !isDue) return this.#next();
        state = 'running';
        this.#running += 1;
        if (isGivenUp) this.#hanging += 1;
        make().then(
          (result) => end(() => (isGivenUp ? onLate?.(result) : resolve(result))),
          (error: unknown) => end(() => reject(error)),
        );
      };
      if (this.#running < maxConcurrent) return start();
      this.#waiting.push({ start, giveUp });
      if (this.#hanging >= maxConcurrent) giveUp();
    });
  }

  /** A call has made room for another one. */
  #next(): void {
    this.#waiting.shift()?.start();
  }
}

type Run = <T>(
  tried: string,
  make: () => Promise<T>,
  extra?: Pick<Call<T>, 'onLate' | 'isDue'>,
) => Promise<T>;

/**
 * The same files, each call of which settles within `ioTimeoutMs`: after that it fails with `ETIMEDOUT`, although it
 * may still take effect. Not for the writes of records, whose effect has to be known.
 * @param path the calls for one path share their bounds.
 */
export function boundedFiles(files: FileSystem, path: string, bounds: Bounds): FileSystem {
  const awake = { ...bounds, clock: awakeClock(bounds.clock) };
  const queueByPath = queuesByFiles.get(files) ?? new Map<string, CallQueue>();
  queuesByFiles.set(files, queueByPath);
  const run: Run = (tried, make, extra) => {
    const queue = queueByPath.get(path) ?? new CallQueue();
    queueByPath.set(path, queue);
    const forget = (): void => {
      if (queue.isIdle && queueByPath.get(path) === queue) queueByPath.delete(path);
    };
    const settled = queue.run({ tried, make, ...extra }, awake);
    settled.then(forget, forget);
    return settled;
  };
  return {
    async open(name, mode) {
      const file = await run(`open ${name}`, () => files.open(name, mode), {
        onLate: (late) => void late.close().catch(() => undefined),
      });
      return boundedFile(file, name, run);
    },
    list: (directory) => run(`list ${directory}`, () => files.list(directory)),
    makeDirectory: (name) => run(`mkdir ${name}`, () => files.makeDirectory(name)),
    syncDirectory: (name) => run(`sync ${name}`, () => files.syncDirectory(name)),
    rename: (from, to) => run(`rename ${from}`, () => files.rename(from, to)),
    link: (existing, added) => run(`link ${added}`, () => files.link(existing, added)),
    copy: (from, to) => run(`copy ${from}`, () => files.copy(from, to)),
    remove: (name) => run(`remove ${name}`, () => files.remove(name)),
    status: (name) => run(`stat ${name}`, () => files.status(name)),
    readWhole: (name) => run(`read ${name}`, () => files.readWhole(name)),
  };
}

function boundedFile(file: OpenFile, name: string, run: Run): OpenFile {
  return {
    write: (data, position) => run(`write ${name}`, () => file.write(data, position)),
    writeThrough: (data, position) => run(`write ${name}`, () => file.writeThrough(data, position)),
    read: (into, position) => run(`read ${name}`, () => file.read(into, position)),
    sync: () => run(`sync ${name}`, () => file.sync()),
    truncate: (bytes) => run(`truncate ${name}`, () => file.truncate(bytes)),
    close: () => run(`close ${name}`, () => file.close(), { isDue: true }),
  };
}

/** The same files; `onReturn` is called when a call returns, whatever its result. */
export function watchedFiles(files: FileSystem, onReturn: () => void): FileSystem {
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } finally {
      onReturn();
    }
  };
  return {
    ...files,
    async open(name, mode) {
      const file = await watched(files.open(name, mode));
      return {
        ...file,
        write: (data, position) => watched(file.write(data, position)),
        writeThrough: (data, position) => watched(file.writeThrough(data, position)),
        sync: () => watched(file.sync()),
      };
    },
    rename: (from, to) => watched(files.rename(from, to)),
    syncDirectory: (name) => watched(files.syncDirectory(name)),
  };
}
