import type { Subscription } from '../backend.ts';

/** The subscription, which also reports that jobs have left the topic, so that there is room for others. */
export function reportingRoom(subscription: Subscription, onFreed: () => void): Subscription {
  return {
    whenConnected: (signal) => subscription.whenConnected(signal),
    fetch: (...args) => subscription.fetch(...args),
    recover: (...args) => subscription.recover(...args),
    async acknowledge(...args) {
      await subscription.acknowledge(...args);
      onFreed();
    },
    async deadLetter(...args) {
      await subscription.deadLetter(...args);
      onFreed();
    },
    ...(subscription.retryLater && {
      retryLater: async (delivery, delayMs) =>
        (await subscription.retryLater?.(delivery, delayMs)) ?? 'kept',
    }),
    ...(subscription.release && {
      release: async (jobs) => {
        await subscription.release?.(jobs);
      },
    }),
    ...(subscription.control && {
      control: async (held) =>
        (await subscription.control?.(held)) ?? { isPaused: false, cancelled: [] },
    }),
    close: (held) => subscription.close(held),
  };
}
