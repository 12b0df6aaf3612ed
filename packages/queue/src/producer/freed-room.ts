import type { Subscription } from '../backend.ts';
import { forwardingTo } from './forwarding.ts';

/** The subscription, which also reports that jobs have left the topic, so that there is room for others. */
export function reportingRoom(subscription: Subscription, onFreed: () => void): Subscription {
  return {
    ...forwardingTo(subscription),
    async acknowledge(...args) {
      await subscription.acknowledge(...args);
      onFreed();
    },
    async deadLetter(...args) {
      await subscription.deadLetter(...args);
      onFreed();
    },
  };
}
