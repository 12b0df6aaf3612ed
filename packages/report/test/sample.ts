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
    version: 2,
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

/** A run with every element of the page, in which this text is the name of a test. */
export function fullRun(name = 'it fails'): RunReport {
  const load = Array.from({ length: 45 }, (_, index) => ({
    atMs: -800 + index * 100,
    offered: 30,
    errors: index > 8 && index < 14 ? 12 : 0,
  }));
  const slow = { recoveredAfterMs: 61_000, lastedMs: 3_000, load };
  return sampleRun({
    stage: 'local',
    environment: {
      os: 'Linux 6.8.0 x64',
      cpu: 'AMD EPYC 7763, 2 cores',
      memoryBytes: 8 * 2 ** 30,
      commit: '0123456789ab',
      versions: { ioredis: '6.0.0', redis: '8.2.1' },
    },
    scenarios: [
      { ...killedRedis, lost: 3, lastedMs: 3_000, recoveredAfterMs: 412, load },
      { ...killedRedis, scenario: 'quick', recoveredAfterMs: 90, timeline: [] },
      { ...killedRedis, scenario: 'slow', fault: 'Redis is frozen', ...slow },
      {
        ...killedRedis,
        family: 'database-recovery',
        scenario: name,
        fault: 'Postgres: the disk is full',
        decisions: ['fill the disk at 3 s', 'free it at 4 s'],
        logs: [{ server: 'postgres', text: 'PANIC: could not write to file' }],
        replay: 'npx holdfast replay 42',
      },
    ],
    tests: [
      sampleTest(),
      sampleTest({ name: 'again', attempts: 2 }),
      sampleTest({ name: 'not today', status: 'skipped', skipReason: 'no chromium' }),
      sampleTest({
        file: 'packages/suites/test/database.test.ts',
        line: 12,
        name,
        status: 'failed',
        failure: 'Expected: 0\nReceived: 3\n    at packages/suites/test/database.test.ts:12:7',
        codeFrame: '  11 | const lost = 3;\n> 12 | expect(lost).toBe(0);\n  13 | ',
      }),
      sampleTest({ name: 'it breaks', status: 'failed', failure: 'no', replay: 'npx jest b' }),
    ],
  });
}
