import type { AlertExplanation, AlertReason } from './alerts.ts';
import { decideGroup } from './decide.ts';
import type { Muting } from './matching.ts';
import type { ResolvedAlertOptions } from './options.ts';
import type { AlertState } from './state.ts';

const sentences: Readonly<Record<AlertReason, string>> = {
  'no-alert': 'no such alert fires',
  muted: 'it fires, and is muted',
  'waiting-for-group': 'it fires, and waits for further alerts of its group',
  throttled: 'it fires, but the last outage of its group ended a moment ago',
  page: 'it is being notified',
  settling: 'it no longer fires, and has to stay so for a time',
  resolved: 'it is resolved',
  acknowledged: 'it was notified and acknowledged',
  'waiting-for-acknowledgement': 'it was notified, and waits for an acknowledgement',
  escalation: 'nobody acknowledged, so the next step is notified',
  'escalation-exhausted': 'nobody acknowledged any step; it is repeated from time to time',
  'waiting-to-repeat': 'it was notified, and is repeated from time to time',
  repeat: 'it is being repeated',
  update: 'further alerts of its group are being notified',
};

/** Explains one alert by the same decision that notifies. */
export function explainAlert(
  fingerprint: string,
  state: AlertState,
  options: ResolvedAlertOptions,
  muting: Muting,
  nowMs: number,
): AlertExplanation {
  const alert = state.alerts.get(fingerprint);
  const group = alert === undefined ? undefined : state.groups.get(alert.group);
  if (alert === undefined || group === undefined) {
    return { known: false, reason: 'no-alert', undelivered: [], text: sentences['no-alert'] };
  }
  const mutedBy = muting.mutedBy(fingerprint, alert.labels);
  const level = options.levels[alert.level];
  const decision = decideGroup(group, level, state, muting, nowMs);
  const reason = mutedBy === undefined ? decision.reason : 'muted';
  const incident = group.incident?.id;
  const undelivered = [...state.pending.values()]
    .filter(({ notification }) => notification.incident === incident)
    .map(({ channel, attempts, lastError }) =>
      lastError === undefined ? { channel, attempts } : { channel, attempts, lastError },
    );
  const { untilMs } = decision;
  const nobody = level.channels.length === 0 ? `; the level ${alert.level} has no channels` : '';
  const until = untilMs === undefined ? '' : `, until ${new Date(untilMs).toISOString()}`;
  const failing = undelivered.map(({ channel, attempts }) => `${channel} (${attempts} attempts)`);
  const late = failing.length === 0 ? '' : `; not delivered yet: ${failing.join(', ')}`;
  const by = mutedBy === undefined ? '' : ` by ${mutedBy.replace(/^inhibited by /u, '')}`;
  return {
    known: true,
    level: alert.level,
    group: alert.group,
    ...(mutedBy !== undefined && { mutedBy }),
    ...(incident !== undefined && { incident }),
    reason,
    ...(untilMs !== undefined && { untilMs }),
    undelivered,
    text: `${sentences[reason]}${by}${until}${late}${nobody}`,
  };
}
