/** A scored queue: it accepts numbered jobs and passes them to a worker. */
interface ScoredQueue {
  /** Resolves once the job is accepted. */
  add(job: number): Promise<unknown>;
  /** Starts one worker that runs the given handler, one job at a time. */
  work(handler: (job: number) => void): void;
  /** The score abandons a close that takes too long. */
  close(): Promise<unknown>;
}

/** The exports of a module that can be scored. */
export interface QueueModule {
  readonly name: string;
  /** @param options.directory an empty folder for the queue's files. */
  open(options: { host: string; port: number; directory: string }): Promise<ScoredQueue>;
}
