import { createResilienceStack } from '@holdfast/resilience';

/** What a stack makes of an error. */
interface Judgement {
  /** Of one call, of three at most. */
  readonly attempts: number;
  readonly isCircuitOpen: boolean;
}

/** Makes a call that fails under a stack, three attempts of which open the circuit. */
export async function underStack(call: () => Promise<unknown>): Promise<Judgement> {
  let attempts = 0;
  const stack = createResilienceStack({
    circuitBreaker: { failureThreshold: 3 },
    retry: { maxAttempts: 3, initialDelayMs: 1, maxRetryAfterMs: 1 },
  });
  const attempt = (): Promise<unknown> => {
    attempts += 1;
    return call();
  };
  await stack.execute(attempt).catch(() => {});
  const judgement = { attempts, isCircuitOpen: stack.getHealthState().circuits.length > 0 };
  await stack.close();
  return judgement;
}

/** It would fail again, and says nothing of the service's health. */
export const isFinal: Judgement = { attempts: 1, isCircuitOpen: false };
/** It may pass, and the service is the cause. */
export const isOutage: Judgement = { attempts: 3, isCircuitOpen: true };
/** It may pass, and the service is well. */
export const mayPass: Judgement = { attempts: 3, isCircuitOpen: false };
