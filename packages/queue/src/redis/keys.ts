/** The consumer group of all consumers of a topic: each job is delivered to one of them. */
export const GROUP = 'holdfast';

/** The keys of one topic. The hash tag keeps them in one slot of a cluster, so that one script can use all. */
export interface TopicKeys {
  readonly stream: string;
  readonly dead: string;
  /** The jobs that are not due yet, sorted by their due time. */
  readonly delayed: string;
  /** The high-water mark of a producer. */
  readonly mark: (producer: string) => string;
  readonly id: (jobId: string) => string;
  /** How a job ended. */
  readonly result: (jobId: string) => string;
  /** That a job has ended, for longer. */
  readonly settled: (jobId: string) => string;
  readonly progress: (jobId: string) => string;
  /** The stream that tells of which jobs there is a new outcome or progress. */
  readonly news: string;
  /** The last job of a debounced key. */
  readonly window: (key: string) => string;
  /** What the limit of the topic has granted, or that of a key by its hash; '' for the topic. */
  readonly limit: (key: string) => string;
  /** What processes share of a schedule. */
  readonly schedule: (name: string) => string;
}

export function topicKeys(prefix: string, topic: string): TopicKeys {
  const base = `${prefix}:{${topic}}`;
  return {
    stream: `${base}:jobs`,
    dead: `${base}:dead`,
    delayed: `${base}:delayed`,
    mark: (producer) => `${base}:mark:${producer}`,
    id: (jobId) => `${base}:id:${jobId}`,
    result: (jobId) => `${base}:result:${jobId}`,
    settled: (jobId) => `${base}:settled:${jobId}`,
    progress: (jobId) => `${base}:progress:${jobId}`,
    news: `${base}:news`,
    window: (key) => `${base}:window:${key}`,
    limit: (key) => `${base}:limit:${key}`,
    schedule: (name) => `${base}:schedule:${name}`,
  };
}
