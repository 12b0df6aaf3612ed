import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { DurableRunner } from '@holdfast/operations';
import { createDbosRunner } from '@holdfast/operations/dbos';
import {
  type PipelineFunctions,
  type PublishPipeline,
  type SessionService,
  createSessionService,
} from '@holdfast/publisher';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { watchPace } from '../../src/host-pace.ts';
import { ErrorRecoveryHarness, type TestSession } from '../../src/error-recovery/harness.ts';
import { bucketOf, openWorker } from '../../src/error-recovery/worker.ts';
import { type WorkerProcess, startWorkerProcess } from '../../src/error-recovery/worker-process.ts';

const LEASE_MS = 1_500;
const POLL_MS = 100;
const TAKEOVER_MS = LEASE_MS + 1_000;
const MAX_SLOWNESS = 4;
const SMALL_HEAP_MIB = 90;
const STAGES = ['edit', 'build', 'commit', 'push-1', 'publish-1'] as const;

let harness: ErrorRecoveryHarness;
let postgres: Stage<{ postgres: true }>;
let databaseUrl = '';
let runner: DurableRunner<PipelineFunctions>;
let pipeline: PublishPipeline;
let service: SessionService;
let closeClient: () => void;
/** The process in charge: the next test kills the one that took over in this one. */
let current: WorkerProcess | undefined;
let onResumed: (atMs: number) => void = () => {};
let numbers = 0;

beforeAll(async () => {
  harness = await ErrorRecoveryHarness.open();
  postgres = await openStage({ postgres: true });
  databaseUrl = (await postgres.postgres.createDatabase()).url;
  const opened = openWorker(harness.workerOptions('client'));
  ({ pipeline } = opened);
  closeClient = () => opened.close();
  const times = { leaseMs: LEASE_MS, pollMs: POLL_MS };
  // It starts runs and asks for them; the processes execute them.
  runner = await createDbosRunner<PipelineFunctions>({
    functions: pipeline.functions,
    databaseUrl,
    ...times,
    executes: false,
  });
  service = createSessionService(pipeline, runner);
}, STAGE_OPEN_TIMEOUT_MS);

afterAll(async () => {
  await current?.kill();
  service.close();
  await runner.close();
  closeClient();
  await postgres.close();
  await harness.close();
});

async function start(heapMib?: number): Promise<WorkerProcess> {
  numbers += 1;
  const worker = harness.workerOptions(`process-${numbers}`);
  const options = { worker, databaseUrl, leaseMs: LEASE_MS, pollMs: POLL_MS };
  current = startWorkerProcess(
    options,
    (log, atMs) => {
      harness.logs.push(log);
      onResumed(atMs);
    },
    heapMib,
  );
  await current.opened;
  return current;
}

async function createSession(instruction: string): Promise<TestSession> {
  const id = `killed-${numbers}`;
  const session = { sessionId: id, clientId: id, chatThreadId: id, branch: `thread-${id}` };
  await harness.createBucket(bucketOf(id));
  await service.createSession({ ...session, instruction });
  return session;
}

test.each(STAGES)(
  'a process that is killed after %s is replaced within a lease and a second: published, committed and paid for once',
  async (stage) => {
    const paid = harness.claude.requests().length;
    const doomed = current ?? (await start());
    await doomed.dieAfter(stage);
    const session = await createSession(`Killed after ${stage}`);
    const { signal, atMs } = await doomed.ended;
    current = undefined;
    expect(signal).toBe('SIGKILL');
    const pace = watchPace();
    const resumed = Promise.withResolvers<number>();
    onResumed = resumed.resolve;
    await start();
    const openedMs = systemClock.now();
    await harness.waitForS3Deployment(session);
    const slowness = Math.min(MAX_SLOWNESS, pace.stop());
    // The lease ran while the next process was starting.
    const sinceMs = Math.max(atMs, openedMs - LEASE_MS);
    expect((await resumed.promise) - sinceMs).toBeLessThan(TAKEOVER_MS * 2 * slowness);
    expect(await harness.getGitCommits(session.branch)).toEqual([
      `Killed after ${stage}`,
      'the site',
    ]);
    expect(harness.claude.requests().length - paid).toBe(1);
  },
);

test('recovers from a worker that runs out of memory: another resumes the session where it was', async () => {
  const instruction = 'Create 1000 large files';
  harness.script(instruction, [{ path: 'build.json', content: 'BUILD_LARGE' }]);
  const paid = harness.claude.requests().length;
  await current?.kill();
  const small = await start(SMALL_HEAP_MIB);
  const session = await createSession(instruction);
  const ending = await small.ended;
  // Without a real end by memory this test proves nothing.
  expect(ending.signal ?? ending.code).toMatch(/SIGABRT|134/);
  const pace = watchPace();
  const beganMs = systemClock.now();
  await start();
  await service.resumeSession(session.sessionId);
  await harness.waitForS3Deployment(session);
  expect(systemClock.now() - beganMs).toBeLessThan(30_000 * pace.stop());
  expect(await harness.getGitCommits(session.branch)).toEqual([instruction, 'the site']);
  expect(harness.claude.requests().length - paid).toBe(1);
});
