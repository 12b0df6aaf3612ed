import type { HistoryEntry, ScenarioTimes } from '../../src/history/entry.ts';

/** The run with this number, one an hour. */
export function entryAt(index: number, fields: Partial<HistoryEntry> = {}): HistoryEntry {
  return {
    version: 1,
    report: 'reports',
    startedAt: new Date(Date.UTC(2026, 10, 1, index)).toISOString(),
    durationMs: 60_000,
    commit: `c${index}`,
    node: 'v24.21.0',
    cpu: 'a processor',
    stage: 'local',
    interrupted: false,
    totals: { passed: 10, failed: 0, skipped: 0 },
    lost: 0,
    duplicated: 0,
    outOfOrder: 0,
    files: { 'a.test.ts': 1_000 },
    scenarios: {},
    unsteady: {},
    ...fields,
  };
}

/** A run in which the scenario `redis: killed` recovered after this time. */
export function recovered(
  index: number,
  recoveredAfterMs: number,
  fields: Partial<HistoryEntry & ScenarioTimes> = {},
): HistoryEntry {
  const { outcome = 'recovered', ...entry } = fields;
  return entryAt(index, {
    scenarios: { 'redis: killed': { outcome, recoveredAfterMs } },
    ...entry,
  });
}
