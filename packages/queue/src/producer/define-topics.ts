import {
  InvalidOptionError,
  type OptionRule,
  integer,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import type { Handler } from '../queue.ts';
import { checkTopic } from './payload.ts';
import { isSchema, standardSchema } from './schema.ts';
import type { PayloadOutput, ResultInput, TopicOptions, Topics } from './topics.ts';

/** Each partition is a stream that every consumer checks once a second. */
const MAX_PARTITIONS = 64;

/** The handler of one of the topics: `TopicHandler<typeof topics, 'emails'>`. */
export type TopicHandler<T extends Topics, Topic extends string> = Handler<
  undefined,
  PayloadOutput<T, Topic>,
  ResultInput<T, Topic>
>;

/**
 * Checks the topics of a service where they are written, and keeps their types, so that producers, consumers and their
 * handlers share one list: `createQueueAdapter({ redis, topics: defineTopics({ emails: schema }) })`.
 * @returns the same topics, frozen.
 * @throws InvalidOptionError naming topic, field, value and permitted range.
 */
export function defineTopics<const T extends Topics>(topics: T): Readonly<T> {
  topicsRule().parse(topics, 'topics', 'defineTopics');
  return Object.freeze({ ...topics });
}

/** Checks the topics of a queue and gives a topic that is only a schema the form of the others. */
export function topicsRule(): OptionRule<ReadonlyMap<string, TopicOptions>> {
  const shape = {
    schema: optional(standardSchema),
    result: optional(standardSchema),
    maxJobs: optional(integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
    partitions: optional(integer({ min: 1, max: MAX_PARTITIONS })),
  };
  const permitted = 'an object of topics and their options';
  return {
    permitted,
    defaultValue: () => new Map(),
    parse(value, field, owner) {
      if (typeof value !== 'object' || value === null) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      const entries: [string, unknown][] = Object.entries(value);
      return new Map(
        entries.map(([topic, given]) => {
          const own = isSchema(given) ? { schema: given } : given;
          const resolved = parseOptions(owner, shape, own, `${field}.${topic}`);
          const { schema, result, maxJobs, partitions } = resolved;
          checkTopic(owner, topic);
          return [
            topic,
            {
              ...(schema && { schema }),
              ...(result && { result }),
              ...(maxJobs !== undefined && { maxJobs }),
              ...(partitions !== undefined && { partitions }),
            },
          ];
        }),
      );
    },
  };
}
