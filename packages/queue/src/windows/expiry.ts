import type { Clock, Emitter } from '@holdfast/foundation';
import type { Delivery, Subscription } from '../backend.ts';
import type { JobMemory } from '../consumer/job-memory.ts';
import { forwardingTo } from '../producer/forwarding.ts';
import type { QueueEvents } from '../state/queue-events.ts';

interface ExpiryDeps {
  readonly topic: string;
  readonly clock: Clock;
  readonly events: Emitter<QueueEvents>;
  readonly memory: JobMemory;
  /** The number of dropped jobs of all topics. */
  readonly expired: { count: number };
}

/**
 * The subscription without the jobs that are not worth running any more: they are removed from the store, and reported
 * once it has confirmed that.
 */
export function droppingExpired(subscription: Subscription, deps: ExpiryDeps): Subscription {
  const { clock, memory } = deps;
  /** Dropped, and not removed yet. */
  const dropped = new Map<string, Delivery>();
  const isExpired = (delivery: Delivery): boolean => {
    const { expiresInMs, enqueuedAtMs } = delivery;
    if (expiresInMs === undefined || clock.epochMs() - enqueuedAtMs < expiresInMs) return false;
    // One that was handled, or is being handled, is delivered again only to be acknowledged.
    return !memory.wasHandled(delivery) && !memory.isActive(delivery);
  };
  const remove = async (): Promise<void> => {
    if (dropped.size === 0) return;
    const removed = [...dropped.values()];
    await subscription.acknowledge(removed.map(({ handle }) => handle));
    for (const delivery of removed) {
      if (dropped.delete(delivery.handle)) report(delivery, deps);
    }
  };
  const withoutExpired = async (deliveries: readonly Delivery[]): Promise<Delivery[]> => {
    const worthRunning: Delivery[] = [];
    for (const delivery of deliveries) {
      if (isExpired(delivery)) dropped.set(delivery.handle, delivery);
      else worthRunning.push(delivery);
    }
    // What the store does not confirm now is removed at the next call; the others need not wait for that.
    await remove().catch(() => undefined);
    return worthRunning;
  };
  return {
    ...forwardingTo(subscription),
    fetch: async (...args) => withoutExpired(await subscription.fetch(...args)),
    async recover(held, ...args) {
      const all = dropped.size === 0 ? held : [...held, ...dropped.keys()];
      const recovered = await subscription.recover(all, ...args);
      // Its new consumer drops it, and reports that.
      for (const handle of recovered.lost) dropped.delete(handle);
      return { ...recovered, deliveries: await withoutExpired(recovered.deliveries) };
    },
  };
}

function report(
  { id, enqueuedAtMs, expiresInMs = 0 }: Delivery,
  { topic, clock, events, expired }: ExpiryDeps,
): void {
  expired.count += 1;
  events.emit('expired', { topic, id, enqueuedAtMs, expiresInMs, atMs: clock.now() });
}
