import type { Clock } from '@holdfast/foundation';
import { FencedError } from './errors.ts';
import type { LeaseStore, FailoverRoute, ServiceDiscovery } from './failover.ts';

/** A lease store of one process: for tests, and for a service with one manager. */
export function createMemoryLeaseStore(clock: Pick<Clock, 'now'>): LeaseStore {
  const leases = new Map<string, { holder: string; untilMs: number }>();
  const epochs = new Map<string, number>();
  const holds = (name: string, holder: string): boolean => {
    const lease = leases.get(name);
    return lease !== undefined && lease.holder === holder && clock.now() < lease.untilMs;
  };
  return {
    hold(name, holder, ttlMs) {
      const lease = leases.get(name);
      const isFree = lease === undefined || lease.holder === holder || clock.now() >= lease.untilMs;
      if (isFree) leases.set(name, { holder, untilMs: clock.now() + ttlMs });
      return Promise.resolve(isFree);
    },
    nextEpoch(name, holder) {
      if (!holds(name, holder)) return Promise.resolve(undefined);
      const epoch = (epochs.get(name) ?? 1) + 1;
      epochs.set(name, epoch);
      return Promise.resolve(epoch);
    },
    release(name, holder) {
      if (holds(name, holder)) leases.delete(name);
      return Promise.resolve();
    },
  };
}

/** A discovery of one process, with the rule that every one has to keep: no earlier epoch, and none open again. */
export function createMemoryDiscovery(): ServiceDiscovery {
  const routes = new Map<string, FailoverRoute>();
  return {
    publish(service, route) {
      const current = routes.get(service);
      const isOlder = current !== undefined && route.epoch < current.epoch;
      const isReopened = current?.epoch === route.epoch && !current.isOpen && route.isOpen;
      if (isOlder || isReopened) return Promise.reject(new FencedError('the route', route.epoch));
      routes.set(service, route);
      return Promise.resolve();
    },
    read: (service) => Promise.resolve(routes.get(service)),
  };
}
