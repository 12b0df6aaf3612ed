/** A queue as the score sees it: whatever can take numbered jobs and hand them to a worker. */
interface ScoredQueue {
  /** Resolves once the job is accepted. */
  add(job: number): Promise<unknown>;
  /** Has one worker, one job at a time, do what is given. */
  work(handler: (job: number) => void): void;
  /** May be cut short by the score when it takes too long. */
  close(): Promise<unknown>;
}

/** What a module has to export to be scored. */
export interface QueueModule {
  readonly name: string;
  /** @param options.directory a folder of its own, for what it wants to keep. */
  open(options: { host: string; port: number; directory: string }): Promise<ScoredQueue>;
}
