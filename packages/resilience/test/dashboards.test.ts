import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { registerPrometheusMetrics } from '@holdfast/resilience/prometheus';
import { everyPolicy } from './every-policy.ts';
import { type Exposition, readExposition } from './exposition.ts';
import { readQuery } from './promql.ts';
import { readYaml } from './yaml-subset.ts';

const read = (path: string): Promise<string> =>
  readFile(new URL(`../${path}`, import.meta.url), 'utf8');

/** What a registry tells of every policy there is, each having been called once. */
async function exported(): Promise<Exposition> {
  const { clock, stack, retry, measured } = everyPolicy();
  const registry = new Registry();
  registerPrometheusMetrics({ registry, ...measured });
  await clock.settle(stack.execute('wi', async () => 'ok'));
  await clock.settle(retry.execute(async () => 'ok'));
  for (const limit of measured.adaptiveLimits ?? []) {
    for (let call = 0; call < 20; call += 1) {
      await clock.settle(
        limit.execute(async () => {
          await clock.advance(100);
        }),
      );
    }
  }
  return readExposition(await registry.metrics());
}

/** The labels that come with each metric, besides those of Prometheus itself. */
function labelsOf({ samples }: Exposition): ReadonlyMap<string, ReadonlySet<string>> {
  const labels = new Map<string, Set<string>>();
  for (const series of samples.keys()) {
    const [metric = '', matchers = ''] = series.split('{');
    const known = labels.get(metric) ?? new Set();
    labels.set(metric, known);
    for (const [, label = ''] of matchers.matchAll(/(\w+)="/g)) known.add(label);
  }
  return labels;
}

interface Asked {
  readonly title: string;
  readonly query: string;
  /** The labels that its legend or its message names. */
  readonly named: readonly string[];
}

const namesIn = (text: string, pattern: RegExp): string[] =>
  Array.from(text.matchAll(pattern), (found) => found[1] ?? '');

function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`no object: ${String(value)}`);
  return Object.fromEntries(Object.entries(value));
}

function items(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

interface Dashboard {
  readonly document: Record<string, unknown>;
  readonly panels: readonly Record<string, unknown>[];
  readonly asked: readonly Asked[];
}

async function dashboard(): Promise<Dashboard> {
  const document = fields(JSON.parse(await read('dashboards/grafana-dashboard.json')));
  const panels = items(document['panels']);
  const asked = panels.flatMap(({ title, targets }) =>
    items(targets).map(({ expr, legendFormat }) => ({
      title: String(title),
      query: String(expr),
      named: namesIn(String(legendFormat), /\{\{(\w+)\}\}/g),
    })),
  );
  return { document, panels, asked };
}

async function alertRules(): Promise<Record<string, unknown>[]> {
  const { groups } = fields(readYaml(await read('dashboards/alerts.yml')));
  return items(groups).flatMap(({ rules }) => items(rules));
}

async function askedByAlerts(): Promise<Asked[]> {
  const rules = await alertRules();
  return rules.map(({ alert, expr, annotations }) => ({
    title: String(alert),
    query: String(expr),
    named: namesIn(JSON.stringify(annotations), /\$labels\.(\w+)/g),
  }));
}

test('every query of dashboard and alerts asks for metrics and labels that are exported', async () => {
  const published = await exported();
  const labels = labelsOf(published);
  const asked = [...(await dashboard()).asked, ...(await askedByAlerts())];
  expect(asked.length).toBeGreaterThan(40);
  for (const { title, query, named } of asked) {
    const { metrics, labels: used, rated } = readQuery(query);
    expect({ title, metrics }).not.toEqual({ title, metrics: [] });
    const unknown = metrics.filter((metric) => !labels.has(metric));
    expect({ title, unknown }).toEqual({ title, unknown: [] });
    const known = new Set(metrics.flatMap((metric) => [...(labels.get(metric) ?? [])]));
    const strange = [...used, ...named].filter((label) => !known.has(label));
    expect({ title, strange }).toEqual({ title, strange: [] });
    const counters = metrics.filter((metric) => published.metrics.get(metric)?.kind === 'counter');
    // How many calls are in flight is the one difference of two counters that is no rate.
    const rates = title === 'Calls in Flight' ? [] : counters;
    expect({ title, rated: rated.toSorted() }).toEqual({ title, rated: rates.toSorted() });
  }
});

test('every metric that is exported is shown by the dashboard', async () => {
  const { asked } = await dashboard();
  const shown = new Set(asked.flatMap(({ query }) => readQuery(query).metrics));
  const hidden = [...(await exported()).metrics.keys()].filter((metric) => !shown.has(metric));
  expect(hidden).toEqual([]);
});

test('docs/metrics lists every exported metric with its kind and labels, and no other', async () => {
  const published = await exported();
  const labels = labelsOf(published);
  const page = await read('../../docs/metrics/resilience.md');
  const rows = page.matchAll(/^\| `(\w+)(?:\{([\w, ]+)\})?` +\| (counter|gauge) +\|/gm);
  const listed = Array.from(rows, ([, name, names, kind]) => `${name} {${names}} ${kind}`);
  const wanted = Array.from(published.metrics, ([name, { kind }]) => {
    return `${name} {${[...(labels.get(name) ?? [])].join(', ')}} ${kind}`;
  });
  expect(listed.toSorted()).toEqual(wanted.toSorted());
});

test('the alerts of the guide are there, each with a severity and what to do', async () => {
  const rules = await alertRules();
  const named = new Map(rules.map((rule) => [rule['alert'], rule]));
  expect(named.get('CircuitBreakerOpenCritical')).toMatchObject({
    expr: 'circuit_breaker_state == 1 and (time() - circuit_breaker_last_state_change) > 300',
    labels: { severity: 'critical' },
  });
  expect(named.get('HighRetryRate')).toMatchObject({
    expr: 'rate(retry_attempts_total[5m]) > 10',
    labels: { severity: 'warning' },
  });
  expect(named.get('BulkheadRejections')).toMatchObject({
    expr: 'rate(bulkhead_rejected_total[5m]) > 5',
    labels: { severity: 'warning' },
  });
  expect(named.size).toBe(rules.length);
  for (const rule of rules) {
    expect(Object.keys(rule)).toEqual(['alert', 'expr', 'for', 'labels', 'annotations']);
    expect(rule).toMatchObject({
      for: expect.stringMatching(/^\d+m$/),
      labels: { severity: expect.stringMatching(/^(?:critical|warning)$/) },
      annotations: {
        summary: expect.stringMatching(/\$labels\.(?:name|operation)/),
        description: expect.stringMatching(/\.$/),
        runbook: expect.stringMatching(/\.$/),
      },
    });
  }
});

test('the panels of the guide are there, and the dashboard can be imported as it is', async () => {
  const { document, panels } = await dashboard();
  const titles = panels.map(({ title }) => title);
  expect(titles).toEqual(
    expect.arrayContaining([
      'Circuit Breaker States',
      'Retry Success Rate',
      'Bulkhead Active/Queued',
    ]),
  );
  expect(new Set(titles).size).toBe(titles.length);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(document).toMatchObject({ uid: 'holdfast-resilience', schemaVersion: 39 });
  const variables = items(fields(document['templating'])['list']).map(({ name }) => name);
  expect(variables).toEqual(['datasource', 'name']);
  const used = namesIn(JSON.stringify(document), /\$\{?(\w+)\}?/g).filter(
    (name) => !name.startsWith('__'),
  );
  expect(new Set(used)).toEqual(new Set(variables));
});

test('the panels fill a grid of 24 columns, and none covers another', async () => {
  const { panels } = await dashboard();
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    const { x, y, w, h } = fields(gridPos);
    expect({ title, right: Number(x) + Number(w) <= 24 }).toEqual({ title, right: true });
    for (let column = Number(x); column < Number(x) + Number(w); column += 1) {
      for (let line = Number(y); line < Number(y) + Number(h); line += 1) {
        const cell = `${column}/${line}`;
        expect({ title, cell, isTaken: taken.has(cell) }).toEqual({ title, cell, isTaken: false });
        taken.add(cell);
      }
    }
  }
});

test('the list of names is asked for by metrics that are exported', async () => {
  const labels = labelsOf(await exported());
  const { document } = await dashboard();
  const variable = items(fields(document['templating'])['list']).at(-1);
  const { metrics, labels: listed } = readQuery(String(fields(variable?.['query'])['query']));
  expect(metrics).not.toEqual([]);
  for (const metric of metrics) expect([...(labels.get(metric) ?? [])]).toContain('name');
  expect(listed).toEqual(['name']);
});

test.each([
  'rate(a[5m]',
  'rate(a[5m)]',
  'rat(a[5m])',
  'a{name="b}',
  'a{name=~"b"} ; c',
  'sum by (name) (a',
])('a query that is broken is not read: %s', (query) => {
  expect(() => readQuery(query)).toThrow(query);
});

test.each([
  ['a: "b', 'not a plain scalar'],
  ['a: [b]', 'not a plain scalar'],
  ['a: b: c', 'not a plain scalar'],
  ['a:\nb: c', 'no value'],
  ['a: b\n    c: d', 'not in its place'],
  ['a: b\na: c', 'not a new field'],
])('a rule file that is more than its reader knows is not read: %j', (source, says) => {
  expect(() => readYaml(source)).toThrow(says);
});
