import type { RunReport, ScenarioRecord, TestRecord } from '@holdfast/report';

/** A scenario with all measures. */
export const killedRedis: ScenarioRecord = {
  family: 'redis-failover',
  scenario: 'killed for 3 s under load, appendonly everysec',
  fault: 'kill -9, restart after 3 s',
  stage: 'local',
  seed: 42,
  detectedAfterMs: 12,
  recoveredAfterMs: 3_412,
  accepted: 4_210,
  delivered: 4_208,
  lost: 0,
  lostByServer: 2,
  duplicated: 0,
  note: 'Two writes that the server had acknowledged were not yet on its disk.',
  timeline: [
    { atMs: -800, event: 'load at 1 200 jobs a second' },
    { atMs: 0, event: 'killed' },
    { atMs: 12, event: 'the queue spills to the journal' },
    { atMs: 3_000, event: 'started again' },
    { atMs: 3_041, event: 'answers PING' },
    { atMs: 3_412, event: 'first job drained from the journal' },
  ],
};

export function sampleTest(fields: Partial<TestRecord> = {}): TestRecord {
  return {
    file: 'packages/queue/test/failover.test.ts',
    name: 'a job accepted during the outage is delivered exactly once after it',
    status: 'passed',
    durationMs: 412,
    attempts: 1,
    ...fields,
  };
}

export function sampleRun(fields: Partial<RunReport> = {}): RunReport {
  const tests = fields.tests ?? [sampleTest()];
  const having = (status: TestRecord['status']): number =>
    tests.filter((test) => test.status === status).length;
  return {
    version: 1,
    startedAt: '2026-11-20T09:30:00.000Z',
    durationMs: 94_000,
    node: 'v24.21.0',
    interrupted: false,
    totals: { passed: having('passed'), failed: having('failed'), skipped: having('skipped') },
    scenarios: [],
    unreadableRecords: 0,
    tests,
    ...fields,
  };
}
