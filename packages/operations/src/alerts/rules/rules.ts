import { boolean, integer, number, oneOf, parseOptions, string } from '@holdfast/foundation';
import { listOf, recordOf } from '../../options/collections.ts';
import { ALERT_LEVELS, type AlertLevel, type AlertSignal } from '../alerts.ts';

/** One number of a metric, with its labels. */
export interface RuleSample {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A condition on a metric that makes an alert. */
export interface AlertRule {
  /** The alert's name. */
  readonly alert: string;
  /** The metric's name. */
  readonly metric: string;
  /** Only series with these labels. Default all. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The comparison that makes it fire. Default `'above'`. */
  readonly compare?: 'above' | 'below' | 'equal';
  readonly threshold: number;
  /** How long it must hold, in milliseconds. Default 0. */
  readonly forMs?: number;
  /** Also fire while no such series is there: an unknown value is no good one. Default false. */
  readonly whenMissing?: boolean;
  readonly level: AlertLevel;
  /** One sentence for the person who is paged. */
  readonly summary: string;
}

/** A rule with its defaults. */
export type ResolvedAlertRule = Readonly<Required<AlertRule>>;

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/u;
const NAME_LENGTH = 200;
const MAX_RULES = 10_000;

const text = string({ maxLength: NAME_LENGTH });
const identifier = {
  permitted: 'letters, digits, _ and :, not beginning with a digit',
  parse(value: unknown, field: string, owner: string): string {
    const parsed = text.parse(value, field, owner);
    // Both would be refused by Prometheus, later and elsewhere.
    return NAME.test(parsed) ? parsed : oneOf([this.permitted]).parse(parsed, field, owner);
  },
};

const ruleSchema = {
  alert: identifier,
  metric: identifier,
  labels: recordOf(string({ minLength: 0, maxLength: NAME_LENGTH }), { max: 50 }),
  compare: oneOf(['above', 'below', 'equal'], 'above'),
  threshold: number({ min: -Number.MAX_VALUE, max: Number.MAX_VALUE }),
  forMs: integer({ min: 0, max: 30 * 86_400_000, default: 0 }),
  whenMissing: boolean(false),
  level: oneOf(ALERT_LEVELS),
  summary: string({ maxLength: 2_000 }),
};

/** @throws InvalidOptionError naming the rule and the field. */
export function parseAlertRules(
  owner: string,
  rules: readonly AlertRule[],
): readonly ResolvedAlertRule[] {
  const list = listOf({ permitted: 'a rule', parse: parseRule }, { max: MAX_RULES });
  const parsed = parseOptions(owner, { rules: list }, { rules });
  return parsed.rules.map(({ labels, ...rule }) =>
    Object.assign(rule, { labels: Object.fromEntries(labels) }),
  );
}

function parseRule(value: unknown, field: string, owner: string) {
  return parseOptions(owner, ruleSchema, value, field);
}

/** Evaluates rules in the process, for those who run no Prometheus. */
export interface RuleEvaluator {
  /**
   * The signals for what changed since the last call.
   * @param samples the current metrics.
   * @param nowMs a monotonic time.
   */
  evaluate(samples: readonly RuleSample[], nowMs: number): AlertSignal[];
}

/** A series that meets a rule's condition. */
interface PendingSeries {
  readonly sinceMs: number;
  readonly signal: AlertSignal;
  isFiring: boolean;
}

/** An evaluator for these rules. @throws InvalidOptionError */
export function createRuleEvaluator(rules: readonly AlertRule[]): RuleEvaluator {
  const parsed = parseAlertRules('createRuleEvaluator', rules);
  let pending = new Map<string, PendingSeries>();
  return {
    evaluate(samples, nowMs) {
      const signals: AlertSignal[] = [];
      const next = new Map<string, PendingSeries>();
      for (const rule of parsed) {
        for (const signal of holding(rule, samples)) {
          const key = JSON.stringify([rule.alert, rule.metric, signal.labels]);
          const series = pending.get(key) ?? { sinceMs: nowMs, signal, isFiring: false };
          if (!series.isFiring && nowMs - series.sinceMs >= rule.forMs) {
            series.isFiring = true;
            signals.push(series.signal);
          }
          next.set(key, series);
        }
      }
      for (const [key, { signal, isFiring }] of pending) {
        if (isFiring && !next.has(key)) signals.push({ ...signal, status: 'resolved' });
      }
      pending = next;
      return signals;
    },
  };
}

/** The alerts for which the rule's condition holds now. */
function holding(rule: ResolvedAlertRule, samples: readonly RuleSample[]): AlertSignal[] {
  const wanted = Object.entries(rule.labels);
  const series = samples.filter(
    ({ name, labels }) =>
      name === rule.metric && wanted.every(([key, value]) => (labels?.[key] ?? '') === value),
  );
  const { alert: name, level, summary } = rule;
  if (series.length === 0) {
    return rule.whenMissing ? [{ name, level, summary, labels: rule.labels }] : [];
  }
  return series
    .filter(({ value }) => isMet(rule, value))
    .map(({ labels = {} }) => ({ name, level, summary, labels }));
}

function isMet({ compare, threshold }: ResolvedAlertRule, value: number): boolean {
  if (compare === 'above') return value > threshold;
  return compare === 'below' ? value < threshold : value === threshold;
}
