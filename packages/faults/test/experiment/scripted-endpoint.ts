import { type Clock, sleep } from '@holdfast/foundation';

/** How a broken endpoint answers, as a client sees it. */
export type Breakage = 'refusal' | 'reset' | 'latency' | 'silence';

interface EndpointOptions {
  /** How long an answer takes without a fault. Default 0. */
  serviceMs?: number;
  /** How late answers are during `latency`. Default 500. */
  latencyMs?: number;
  /** Decides for each call whether it is bad without a fault. */
  isBadAtRandom?: () => boolean;
}

/** An endpoint that is broken from one known moment to another. */
export function scriptedEndpoint(clock: Clock, options: EndpointOptions = {}) {
  const { serviceMs = 0, latencyMs = 500, isBadAtRandom = () => false } = options;
  const refused = (): Error => Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
  let breakage: Breakage | undefined;
  let change = Promise.withResolvers<void>();
  const set = (next: Breakage | undefined): void => {
    breakage = next;
    change.resolve();
    change = Promise.withResolvers();
  };
  return {
    break: (kind: Breakage) => set(kind),
    recover: () => set(undefined),
    probe: async (signal: AbortSignal): Promise<void> => {
      if (isBadAtRandom()) throw refused();
      let leftMs = serviceMs;
      const beganMs = clock.now();
      while (true) {
        const next = change.promise;
        if (breakage === 'refusal') throw refused();
        if (breakage === 'reset') throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
        const isHeld = breakage === 'silence';
        if (!isHeld && breakage !== 'latency' && leftMs <= 0) return;
        if (breakage === 'latency' && clock.now() - beganMs >= serviceMs + latencyMs) return;
        const waitedMs = clock.now();
        const dueMs = breakage === 'latency' ? beganMs + serviceMs + latencyMs - waitedMs : leftMs;
        const over = new AbortController();
        const limits = AbortSignal.any([over.signal, signal]);
        const due = isHeld ? next : sleep(clock, dueMs, limits);
        await Promise.race([due, next, aborted(signal)]).finally(() => over.abort());
        if (breakage === undefined || breakage === 'latency') leftMs -= clock.now() - waitedMs;
      }
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
