import { ALERT_LEVELS } from './alerts.ts';
import type { ParsedSignal, ResolvedAlertOptions } from './options.ts';

/** The alert of a duty that has not reported. */
const DUTY_MISSED = 'HoldfastDutyMissed';

/** The alert of a duty that is late. */
export function dutySignal(
  duty: string,
  options: ResolvedAlertOptions,
): Omit<ParsedSignal, 'isFiring'> {
  const { everyMs, level } = options.duties.get(duty) ?? { everyMs: 0, level: undefined };
  return {
    name: DUTY_MISSED,
    labels: { duty },
    level: level ?? ALERT_LEVELS[1] ?? 'high',
    summary: `${duty} has not reported for ${everyMs} ms`,
  };
}
