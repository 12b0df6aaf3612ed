import type { StandardSchema } from './schema.ts';

/** Options of one topic. */
export interface TopicOptions {
  /**
   * The schema of payloads, from any library that implements Standard Schema. A payload is validated as JSON reads it
   * back: by `enqueue`, and again before a handler receives the schema's output.
   */
  schema?: StandardSchema;
  /** The schema of what handlers return: `result` resolves with its output. See `keepResults` of `process`. */
  result?: StandardSchema;
  /**
   * The most jobs of the topic in Redis. Further jobs are rejected with QueueFullError, except those that the
   * fallback has accepted.
   */
  maxJobs?: number;
  /**
   * The number of partitions for jobs with keys. The jobs of one partition are handled one at a time, so this is also
   * the most that are handled at once. 1 to 64; all producers need the same number while the topic has jobs with
   * keys. Default: no keys.
   */
  partitions?: number;
}

/** The topics of a queue by name: their options, or only their schemas. */
export type Topics = Readonly<Record<string, TopicOptions | StandardSchema>>;

/** What `enqueue` takes for a topic: the input of its schema, or anything. */
export type PayloadInput<T extends Topics, Topic extends string> =
  SchemaOf<T, Topic> extends { readonly '~standard': { readonly types?: infer Types } }
    ? NonNullable<Types> extends { readonly input: infer Input }
      ? Input
      : unknown
    : unknown;

/** What a handler receives from a topic: the output of its schema. */
export type PayloadOutput<T extends Topics, Topic extends string> =
  SchemaOf<T, Topic> extends { readonly '~standard': { readonly types?: infer Types } }
    ? NonNullable<Types> extends { readonly output: infer Output }
      ? Output
      : unknown
    : unknown;

/** What a handler of a topic returns: the input of its schema of results, or anything. */
export type ResultInput<T extends Topics, Topic extends string> = ResultType<
  ResultSchemaOf<T, Topic>,
  'input'
>;

/** What `result` resolves with: the output of the topic's schema of results. */
export type ResultOutput<T extends Topics, Topic extends string> = string extends keyof T
  ? unknown
  : ResultType<ResultSchemaOf<T, Topic>, 'output'>;

type ResultType<Schema, Side extends 'input' | 'output'> = Schema extends {
  readonly '~standard': { readonly types?: infer Types };
}
  ? NonNullable<Types> extends Readonly<Record<Side, infer Type>>
    ? Type
    : unknown
  : unknown;

type ResultSchemaOf<T extends Topics, Topic extends string> = Topic extends keyof T
  ? T[Topic] extends { readonly result: infer Schema }
    ? NonNullable<Schema>
    : undefined
  : undefined;

type SchemaOf<T extends Topics, Topic extends string> = Topic extends keyof T
  ? T[Topic] extends { readonly schema?: infer Schema }
    ? NonNullable<Schema>
    : T[Topic]
  : undefined;
