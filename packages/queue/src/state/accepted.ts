/** The store that accepts a job. */
export type Acceptor = 'redis' | 'journal' | 'memory';

/** What `enqueue` resolves with: the job is accepted, and by whom. */
export interface Accepted {
  /** The caller's `jobId`, or the new id. */
  readonly id: string;
  readonly accepted: Acceptor;
  /** Redis knew this `jobId`, or a job of the same `debounce` window, so the job was not added. Only set when `accepted` is `redis`. */
  readonly duplicate?: true;
}
