import { ALERT_LEVELS } from '../alerts.ts';
import type { AlertMatcher } from '../alerts.ts';
import {
  type AlertManagerOptions,
  type ResolvedAlertOptions,
  parseAlertOptions,
} from '../options.ts';
import { type AlertRule, type ResolvedAlertRule, parseAlertRules } from './rules.ts';

const MS_A_SECOND = 1_000;
const operators = { above: '>', below: '<', equal: '==' } as const;

/**
 * The rules as a Prometheus rule file (YAML).
 * @param group the name of the group of rules.
 * @throws InvalidOptionError
 */
export function prometheusRules(rules: readonly AlertRule[], group = 'holdfast'): string {
  const parsed = parseAlertRules('prometheusRules', rules);
  const lines = ['groups:', `  - name: ${quote(group)}`];
  if (parsed.length === 0) return `${[...lines, '    rules: []'].join('\n')}\n`;
  lines.push('    rules:');
  for (const rule of parsed) lines.push(...ruleLines(rule));
  return `${lines.join('\n')}\n`;
}

function ruleLines(rule: ResolvedAlertRule): string[] {
  const selector = selectorOf(rule);
  const condition = `${selector} ${operators[rule.compare]} ${rule.threshold}`;
  const missing = rule.whenMissing ? ` or absent(${selector}) == 1` : '';
  return [
    `      - alert: ${quote(rule.alert)}`,
    `        expr: ${quote(condition + missing)}`,
    ...(rule.forMs > 0 ? [`        for: ${rule.forMs}ms`] : []),
    '        labels:',
    `          severity: ${quote(rule.level)}`,
    '        annotations:',
    // A template of Prometheus is what begins with two braces; a summary is text.
    `          summary: ${quote(rule.summary.replaceAll('{{', '{{ `{{` }}'))}`,
  ];
}

function selectorOf({ metric, labels }: ResolvedAlertRule): string {
  const matchers = Object.entries(labels).map(
    ([name, value]) => `${name}=${JSON.stringify(value)}`,
  );
  return matchers.length === 0 ? metric : `${metric}{${matchers.join(',')}}`;
}

/**
 * The routes, times and inhibitions of an alert manager as a configuration of Alertmanager (YAML). Every channel
 * becomes a webhook receiver at the address that `webhookUrl` gives. What Alertmanager has not is left out:
 * acknowledgement, escalation and throttling stay in the process.
 * @throws InvalidOptionError
 */
export function alertmanagerConfig(
  options: AlertManagerOptions,
  webhookUrl: (channel: string) => string,
): string {
  const resolved = parseAlertOptions(options);
  const routed = ALERT_LEVELS.filter((level) => resolved.levels[level].channels.length > 0);
  const grouping = resolved.groupBy.map((name) => quote(name)).join(', ');
  const lines = ['route:', '  receiver: "nobody"', `  group_by: [${grouping}]`];
  if (routed.length > 0) lines.push('  routes:');
  for (const level of routed) {
    const { groupWaitMs, updateMs, repeatMs, resolveWaitMs } = resolved.levels[level];
    const intervalMs = updateMs > 0 ? updateMs : Math.max(resolveWaitMs, MS_A_SECOND);
    lines.push(
      `    - receiver: ${quote(level)}`,
      `      matchers: [${quote(`severity=${JSON.stringify(level)}`)}]`,
      `      group_wait: ${groupWaitMs}ms`,
      `      group_interval: ${intervalMs}ms`,
      // Alertmanager looks only every group_interval: less than that would not be kept.
      `      repeat_interval: ${Math.max(repeatMs, intervalMs)}ms`,
    );
  }
  lines.push('receivers:', '  - name: "nobody"');
  for (const level of routed) {
    lines.push(`  - name: ${quote(level)}`, '    webhook_configs:');
    for (const channel of resolved.levels[level].channels) {
      lines.push(`      - url: ${quote(webhookUrl(channel))}`, '        send_resolved: true');
    }
  }
  return `${[...lines, ...inhibitionLines(resolved)].join('\n')}\n`;
}

function inhibitionLines({ inhibitions }: ResolvedAlertOptions): string[] {
  if (inhibitions.length === 0) return [];
  return [
    'inhibit_rules:',
    ...inhibitions.flatMap(({ source, target, equal = [] }) => [
      `  - source_matchers: [${matchersOf(source)}]`,
      `    target_matchers: [${matchersOf(target)}]`,
      `    equal: [${equal.map((name) => quote(name)).join(', ')}]`,
    ]),
  ];
}

function matchersOf(matcher: AlertMatcher): string {
  return Object.entries(matcher)
    .map(([name, wanted]) => {
      if (typeof wanted === 'string') return quote(`${name}=${JSON.stringify(wanted)}`);
      const any = wanted.map((value) => value.replaceAll(/[$()*+.?[\\\]^{|}]/gu, String.raw`\$&`));
      return quote(`${name}=~${JSON.stringify(any.join('|'))}`);
    })
    .join(', ');
}

/** A string of YAML in double quotes, which is one of JSON. */
function quote(text: string): string {
  return JSON.stringify(text);
}
