import { expect, test } from '@jest/globals';
import { createMemoryJournal } from '@holdfast/journal';
import {
  type AlertRule,
  alertmanagerConfig,
  createAlertManager,
  createRuleEvaluator,
  prometheusRules,
} from '@holdfast/operations';
import { parse } from 'yaml';

const backlog: AlertRule = {
  alert: 'QueueBacklog',
  metric: 'queue_backlog_jobs',
  labels: { queue: 'emails "urgent"' },
  threshold: 1_000,
  forMs: 60_000,
  whenMissing: true,
  level: 'high',
  summary: 'jobs wait: {{ braces }} "quoted"\nand more',
};

test('a rule fires once it has held for its time, and resolves when it no longer holds', () => {
  const rules = createRuleEvaluator([{ ...backlog, labels: {} }]);
  const at = (value: number) => [{ name: 'queue_backlog_jobs', labels: { queue: 'a' }, value }];
  expect(rules.evaluate(at(2_000), 0)).toEqual([]);
  expect(rules.evaluate(at(500), 30_000)).toEqual([]);
  expect(rules.evaluate(at(2_000), 40_000)).toEqual([]);
  expect(rules.evaluate(at(2_000), 100_000)).toEqual([
    expect.objectContaining({ name: 'QueueBacklog', labels: { queue: 'a' } }),
  ]);
  expect(rules.evaluate(at(2_000), 110_000)).toEqual([]);
  expect(rules.evaluate(at(1_000), 120_000)).toEqual([
    expect.objectContaining({ status: 'resolved' }),
  ]);
});

test('a metric that is missing is no good value, where the rule says so', () => {
  const rules = createRuleEvaluator([backlog]);
  rules.evaluate([], 0);
  expect(rules.evaluate([], 60_000)).toEqual([expect.objectContaining({ name: 'QueueBacklog' })]);
  const other = createRuleEvaluator([{ ...backlog, whenMissing: false }]);
  other.evaluate([], 0);
  expect(other.evaluate([], 60_000)).toEqual([]);
});

test('the rules as a file of Prometheus say the same', () => {
  expect(parse(prometheusRules([backlog]))).toEqual({
    groups: [
      {
        name: 'holdfast',
        rules: [
          {
            alert: 'QueueBacklog',
            expr: 'queue_backlog_jobs{queue="emails \\"urgent\\""} > 1000 or absent(queue_backlog_jobs{queue="emails \\"urgent\\""}) == 1',
            for: '60000ms',
            labels: { severity: 'high' },
            annotations: { summary: expect.stringContaining('"quoted"\nand more') },
          },
        ],
      },
    ],
  });
});

const channel = { send: () => Promise.resolve() };
const levels = { critical: { channels: ['pager', 'chat'], groupWaitMs: 1_000 } };

test('the routes and inhibitions as a file of Alertmanager say the same', () => {
  const text = alertmanagerConfig(
    {
      journal: createMemoryJournal(),
      channels: { pager: channel, chat: channel },
      levels,
      inhibitions: [
        { source: { alertname: 'Down' }, target: { a: ['x.y', 'z'] }, equal: ['zone'] },
      ],
    },
    (name) => `http://127.0.0.1:9/${name}`,
  );
  expect(parse(text)).toMatchObject({
    route: {
      receiver: 'nobody',
      group_by: ['alertname'],
      routes: [{ receiver: 'critical', matchers: ['severity="critical"'], group_wait: '1000ms' }],
    },
    receivers: [
      { name: 'nobody' },
      { name: 'critical', webhook_configs: [{ url: 'http://127.0.0.1:9/pager' }, {}] },
    ],
    inhibit_rules: [{ target_matchers: [String.raw`a=~"x\\.y|z"`], equal: ['zone'] }],
  });
});

test.each<[name: string, options: object, field: string]>([
  ['an unknown channel', { levels: { low: { channels: ['fax'] } } }, 'levels.low.channels'],
  [
    'an unknown channel of a step',
    { levels: { low: { channels: ['pager'], escalation: { steps: [['fax']] } } } },
    'levels.low.escalation.steps',
  ],
  [
    'a repeat that the retention forgets',
    { levels: { low: { repeatMs: 6 * 86_400_000 } } },
    'levels.low.repeatMs',
  ],
  [
    'an escalation longer than the retention',
    {
      levels: {
        low: { channels: ['pager'], escalation: { ackTimeoutMs: 86_400_000, steps: [['pager']] } },
      },
    },
    'levels.low.escalation',
  ],
  [
    'an escalation after nobody',
    { levels: { low: { escalation: { steps: [['pager']] } } } },
    'levels.low.channels',
  ],
  ['an unknown level', { levels: { urgent: {} } }, 'levels.urgent'],
])('%s is refused before anything starts', async (_, options: object, field) => {
  const opening = createAlertManager({
    journal: createMemoryJournal(),
    channels: { pager: channel },
    ...options,
  });
  await expect(opening).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
