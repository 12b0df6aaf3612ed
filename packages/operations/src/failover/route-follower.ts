import {
  type Clock,
  type Timer,
  abortable,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
  withDeadline,
} from '@holdfast/foundation';
import { FailoverTimeoutError, RouteExpiredError } from './errors.ts';
import type { FailoverRoute, ServiceDiscovery } from './failover.ts';

/** Options of `followRoute`. All times in milliseconds. */
export interface RouteFollowerOptions {
  /** The name of the service, as the manager has it. */
  service: string;
  /** Where the manager writes the route. */
  discovery: ServiceDiscovery;
  /** How often the route is read. Default 1 000. */
  intervalMs?: number;
  /** The deadline of a read. Default 2 000. */
  callTimeoutMs?: number;
  /** How long a route is trusted after it was asked for: at most `routeTtlMs` of the manager. Default 5 000. */
  ttlMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A writer's view of the route. */
export interface RouteFollower {
  /** The route, for one write. @throws RouteExpiredError when it may be over */
  current(): FailoverRoute;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DAY_MS = 86_400_000;
const schema = {
  service: string({ maxLength: 200 }),
  discovery: objectWith<ServiceDiscovery>(['read']),
  intervalMs: integer({ min: 10, max: DAY_MS, default: 1_000 }),
  callTimeoutMs: integer({ min: 10, max: DAY_MS, default: 2_000 }),
  ttlMs: integer({ min: 10, max: DAY_MS, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** Follows the route of a service: no write goes to a primary that may have been replaced. @throws InvalidOptionError */
export function followRoute(options: RouteFollowerOptions): RouteFollower {
  const resolved = parseOptions('followRoute', schema, options);
  const { service, discovery, intervalMs, callTimeoutMs, ttlMs, clock } = resolved;
  const closing = new AbortController();
  let route: FailoverRoute | undefined;
  let trustedUntilMs = -Infinity;
  let timer: Timer | undefined;
  let reading = Promise.resolve();
  const read = async (): Promise<void> => {
    // Counted from before the question: the answer may be as old.
    const askedMs = clock.now();
    const late = (): Error => new FailoverTimeoutError('the discovery', callTimeoutMs);
    try {
      const found = await withDeadline(clock, callTimeoutMs, closing.signal, late, (signal) =>
        abortable(discovery.read(service, { signal }), signal),
      );
      if (found === undefined || found.epoch < (route?.epoch ?? 0)) return;
      route = found;
      trustedUntilMs = askedMs + ttlMs;
    } catch {
      // The route is trusted until its time is over.
    } finally {
      if (!closing.signal.aborted) {
        timer = clock.schedule(intervalMs, begin, { holdsProcess: false });
      }
    }
  };
  const begin = (): void => void (reading = read());
  begin();
  const close = async (): Promise<void> => {
    timer?.cancel();
    closing.abort(new RouteExpiredError(service, 0));
    await reading;
  };
  return {
    current() {
      if (route === undefined || !route.isOpen || clock.now() >= trustedUntilMs) {
        throw new RouteExpiredError(service, ttlMs);
      }
      return route;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
