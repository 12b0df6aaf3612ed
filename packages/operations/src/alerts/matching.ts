import type { AlertMatcher, AlertSignal, InhibitionRule, Silence } from './alerts.ts';

/** The labels of an alert with its name as `alertname`, as rules see them. */
export type AlertLabels = Readonly<Record<string, string>>;

/** The labels that rules match: those of the signal and its name. */
export function labelsOf(signal: Pick<AlertSignal, 'name' | 'labels'>): AlertLabels {
  return { ...signal.labels, alertname: signal.name };
}

/** The identity of an alert: equal for equal names and labels, whatever their order. */
export function fingerprintOf(labels: AlertLabels): string {
  const keys = Object.keys(labels).toSorted();
  return JSON.stringify(keys.map((key) => [key, labels[key]]));
}

/** Whether every label of the matcher is equal, or one of the listed values. A missing label is the empty string. */
export function matches(matcher: AlertMatcher, labels: AlertLabels): boolean {
  return Object.entries(matcher).every(([name, wanted]) => {
    const value = labels[name] ?? '';
    return typeof wanted === 'string' ? value === wanted : wanted.includes(value);
  });
}

/** Finds what mutes an alert, with the sources of all inhibitions looked up once. */
export interface Muting {
  /** The silence or the inhibiting alert, or `undefined`. */
  mutedBy(fingerprint: string, labels: AlertLabels): string | undefined;
  /** When a silence begins or ends next, in epoch milliseconds. */
  readonly changesMs: number | undefined;
}

/** What mutes alerts at `nowMs`: the silences of that moment, and the sources that fire. */
export function mutingAt(
  nowMs: number,
  silences: Iterable<Silence>,
  rules: readonly InhibitionRule[],
  firing: Iterable<{ readonly fingerprint: string; readonly labels: AlertLabels }>,
): Muting {
  const all = [...silences];
  const active = all.filter(({ startsMs, endsMs }) => startsMs <= nowMs && nowMs < endsMs);
  const edges = all
    .flatMap(({ startsMs, endsMs }) => [startsMs, endsMs])
    .filter((ms) => ms > nowMs);
  const sources = rules.map(() => new Map<string, string[]>());
  if (rules.length > 0) {
    for (const { fingerprint, labels } of firing) {
      for (const [index, rule] of rules.entries()) {
        // As in Alertmanager: what is on both sides of a rule never inhibits by it, so nothing mutes itself.
        if (!matches(rule.source, labels) || matches(rule.target, labels)) continue;
        const key = equalKey(rule, labels);
        const known = sources[index]?.get(key);
        if (known === undefined) sources[index]?.set(key, [fingerprint]);
        else known.push(fingerprint);
      }
    }
  }
  return {
    changesMs: edges.length === 0 ? undefined : Math.min(...edges),
    mutedBy(_fingerprint, labels) {
      const silence = active.find(({ match }) => matches(match, labels));
      if (silence !== undefined) return `silence ${silence.id}`;
      for (const [index, rule] of rules.entries()) {
        if (!matches(rule.target, labels)) continue;
        const source = sources[index]?.get(equalKey(rule, labels))?.[0];
        if (source !== undefined) return `inhibited by ${source}`;
      }
      return undefined;
    },
  };
}

function equalKey(rule: InhibitionRule, labels: AlertLabels): string {
  return JSON.stringify((rule.equal ?? []).map((name) => labels[name] ?? ''));
}
