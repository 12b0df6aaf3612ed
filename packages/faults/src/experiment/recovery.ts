import type { Clock } from '@holdfast/foundation';
import type { Detection } from './detection.ts';
import type { Watch } from './watch.ts';

interface RecoveryOptions {
  readonly clock: Clock;
  readonly recoveryTimeoutMs: number;
  readonly stableProbes: number;
  readonly stableMs: number;
  readonly maxLatencyMs: number;
  readonly intervalMs: number;
}

/**
 * Waits until every endpoint is back to stay; returns whether it is. That takes `stableMs` without an outage, and twice
 * as long as it had once been good before it was bad again, so that a service that flaps is not called back. The outage
 * has to be over within `recoveryTimeoutMs`; the time after it does not count.
 * @throws the signal's reason
 */
export async function awaitRecovery(
  watch: Watch,
  detection: Detection,
  undoneMs: number,
  options: RecoveryOptions,
): Promise<boolean> {
  const { clock, recoveryTimeoutMs, stableProbes, stableMs } = options;
  const longestMs = Math.max(stableMs, recoveryTimeoutMs / 3);
  const probesMs = options.maxLatencyMs + stableProbes * options.intervalMs;
  const lastMs = undoneMs + recoveryTimeoutMs + longestMs + probesMs;
  while (true) {
    await watch.interval();
    detection.advance();
    const sinceMs = Math.max(undoneMs, detection.lastBadMs());
    const wantedMs = Math.max(stableMs, Math.min(2 * detection.longestRespiteMs(), longestMs));
    const isLong = detection.seenUntilMs - sinceMs >= wantedMs;
    if (isLong && detection.isSteady && detection.probesSince(undoneMs) >= stableProbes)
      return true;
    const nowMs = clock.now();
    const isLate = nowMs - undoneMs >= recoveryTimeoutMs;
    if (isLate && (detection.isOut || sinceMs - undoneMs >= recoveryTimeoutMs)) return false;
    if (nowMs >= lastMs) return false;
  }
}
