/** The keys of one topic; the braces keep them in one slot of a cluster, so that one script reaches all. */
export interface TopicKeys {
  readonly stream: string;
  readonly dead: string;
  /** Jobs that are not due yet, by when they are. */
  readonly delayed: string;
  mark(producer: string): string;
  id(jobId: string): string;
}

export function topicKeys(prefix: string, topic: string): TopicKeys {
  const base = `${prefix}:{${topic}}`;
  return {
    stream: `${base}:jobs`,
    dead: `${base}:dead`,
    delayed: `${base}:delayed`,
    mark: (producer) => `${base}:mark:${producer}`,
    id: (jobId) => `${base}:id:${jobId}`,
  };
}
