import type { Subscription } from '../backend.ts';

/**
 * A subscription that passes every call on with all its arguments. Whoever changes one of the calls overrides it, so that
 * a method that is added to the port reaches the store through every wrapper; what the store lacks is lacking here too.
 */
export function forwardingTo(subscription: Subscription): Subscription {
  return {
    whenConnected: (...args) => subscription.whenConnected(...args),
    fetch: (...args) => subscription.fetch(...args),
    recover: (...args) => subscription.recover(...args),
    acknowledge: (...args) => subscription.acknowledge(...args),
    deadLetter: (...args) => subscription.deadLetter(...args),
    ...(subscription.retryLater && { retryLater: subscription.retryLater.bind(subscription) }),
    ...(subscription.release && { release: subscription.release.bind(subscription) }),
    ...(subscription.control && { control: subscription.control.bind(subscription) }),
    close: (...args) => subscription.close(...args),
  };
}
