import {
  type QueueOpening,
  evictionPolicyOf,
  fallbackFailureOf,
} from '../producer/queue-opening.ts';
import type { Consumer, QueueStats } from '../queue.ts';

interface StatsDeps extends Pick<QueueStats, 'state' | 'current' | 'expired'> {
  readonly opening: QueueOpening;
  readonly consumers: Iterable<Consumer>;
}

/** What the parts of a queue have counted, as one object. */
export function statsOf({ state, current, opening, consumers, expired }: StatsDeps): QueueStats {
  const { producer, backlog, poison } = opening.opened ?? {};
  const failure = producer?.state.machine.failure;
  const age = producer?.state.oldestAgeMs;
  return {
    state,
    current,
    ...(failure && { errorClass: failure.errorClass, lastError: failure.message }),
    acceptedByRedis: 0,
    acceptedByFallback: 0,
    drained: 0,
    alreadyApplied: 0,
    identityRenewals: producer?.state.identity.renewals ?? 0,
    poisoned: poison?.size ?? 0,
    pending: 0,
    shed: 0,
    expired,
    ...producer?.state.counts,
    backlog: {
      jobs: backlog?.size ?? 0,
      bytes: backlog?.bytes ?? 0,
      ...(age !== undefined && { oldestAgeMs: age }),
    },
    dataLoss: { count: 0, jobs: 0, resent: 0, ...producer?.state.dataLoss },
    ...stalledOf(consumers),
    ...fallbackFailureOf(opening),
    ...evictionPolicyOf(opening),
    connection: { ...opening.connection },
  };
}

function stalledOf(consumers: Iterable<Consumer>): Pick<QueueStats, 'stalledConsumers'> {
  const stalledConsumers = [...consumers].flatMap((consumer) => {
    const { stalled } = consumer.getStats();
    return stalled === undefined ? [] : [{ topic: consumer.topic, ...stalled }];
  });
  return stalledConsumers.length === 0 ? {} : { stalledConsumers };
}
