import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type ClaudeServer, createClaudeServer } from '@holdfast/emulators/claude';
import { systemClock } from '@holdfast/foundation';
import { type MemoryRunner, MemoryRunStore, createMemoryRunner } from '@holdfast/operations';
import {
  type PipelineFunctions,
  type Pointer,
  type SessionLog,
  type SessionLogKind,
  type SessionService,
  type SessionState,
  type SiteStore,
  createPublisher,
  createSessionService,
} from '@holdfast/publisher';
import { createS3SiteStore } from '@holdfast/publisher/s3';
import { type Stage, openStage } from '@holdfast/stage';
import { waitUntil } from '../wait-until.ts';
import { SMALL_SITE, type ScriptedEdit, answerOf, defaultEdit } from './edits.ts';
import { GitSide } from './git-side.ts';
import { HeldModel } from './held-model.ts';
import type { BuildFault } from './stub-build-main.ts';
import {
  SESSIONS_BUCKET,
  WORKER_ACCOUNT,
  type WorkerOptions,
  bucketOf,
  gitCredential,
  openWorker,
  s3Client,
} from './worker.ts';

/** A session of a test. */
export interface TestSession {
  readonly sessionId: string;
  readonly clientId: string;
  readonly chatThreadId: string;
  readonly branch: string;
}

/** What a test says of its session; the rest is made up. */
interface TestSessionSpec {
  readonly clientId?: string;
  readonly chatThreadId?: string;
  readonly instruction: string;
  /** Whether the client's bucket exists. Default: true. */
  readonly hasBucket?: boolean;
}

type SiteStage = Stage<{
  git: { repositories: string[] };
  s3: { accounts: (typeof WORKER_ACCOUNT)[] };
}>;

const REPOSITORY = 'site';
const LEASE_MS = 400;
/** A busy machine takes many times what a quiet one does. */
const WITHIN_MS = 90_000;

/**
 * The publish pipeline on real servers: git over HTTP, S3, an emulated model. Its workers are runners of this process
 * that share a store of runs; each can be killed, and another takes over.
 */
export class ErrorRecoveryHarness {
  readonly stage: SiteStage;
  readonly claude: ClaudeServer;
  readonly git: GitSide;
  readonly logs: SessionLog[] = [];
  readonly directory: string;
  readonly owner: S3Client;
  readonly runs = new MemoryRunStore();
  readonly #scripts: Map<string, readonly ScriptedEdit[]>;
  readonly #held: HeldModel;
  readonly #buckets = new Set<string>();
  readonly #workers: TestWorker[] = [];
  readonly #more: Partial<WorkerOptions>;
  #numbers = 0;

  private constructor(
    stage: SiteStage,
    { claude, held }: { readonly claude: ClaudeServer; readonly held: HeldModel },
    scripts: Map<string, readonly ScriptedEdit[]>,
    more: Partial<WorkerOptions>,
  ) {
    this.stage = stage;
    this.#scripts = scripts;
    this.claude = claude;
    this.#held = held;
    this.#more = more;
    this.git = new GitSide(stage.git.repository(REPOSITORY).url);
    this.directory = mkdtempSync(join(tmpdir(), 'holdfast-error-recovery-'));
    this.owner = s3Client(stage.s3.url, stage.s3.credentials);
  }

  static async open(
    more: Partial<WorkerOptions> = {},
    site: Readonly<Record<string, string>> = SMALL_SITE,
  ): Promise<ErrorRecoveryHarness> {
    const scripts = new Map<string, readonly ScriptedEdit[]>();
    const held = new HeldModel();
    const claude = await createClaudeServer({
      clock: held.clock,
      answer: (prompt) => {
        const [instruction = ''] = prompt.split('\n', 1);
        return answerOf(instruction, scripts.get(instruction) ?? defaultEdit(instruction));
      },
    });
    const stage = await openStage({
      git: { repositories: [REPOSITORY] },
      s3: { accounts: [WORKER_ACCOUNT] },
      mode: 'local',
    });
    const harness = new ErrorRecoveryHarness(stage, { claude, held }, scripts, more);
    for (const key of ['faults', 'work']) await mkdir(join(harness.directory, key));
    await harness.git.push('main', site, 'the site');
    await harness.createBucket(SESSIONS_BUCKET);
    return harness;
  }

  /** What the model answers to an instruction. */
  script(instruction: string, files: readonly ScriptedEdit[]): void {
    this.#scripts.set(instruction, files);
  }

  /**
   * The model answers nothing while the work runs, or until it releases it: what the work does comes before the build,
   * on however slow a machine.
   */
  async holdModel<Value>(work: (release: () => void) => Promise<Value>): Promise<Value> {
    const release = (): void => {
      this.claude.clearMocks();
      this.#held.release();
    };
    this.claude.mockClaudeDelay(this.#held.delayMs);
    try {
      return await work(release);
    } finally {
      release();
    }
  }

  workerOptions(name: string): WorkerOptions {
    return {
      gitUrl: this.stage.git.repository(REPOSITORY).url,
      gitPassword: undefined,
      s3Url: this.stage.s3.url,
      claudeUrl: this.claude.url,
      claudeKey: this.claude.apiKey,
      workDirectory: join(this.directory, 'work', name),
      faultsDirectory: join(this.directory, 'faults'),
      ...this.#more,
    };
  }

  /** The worker in charge; started when there is none. */
  get worker(): TestWorker {
    return this.#workers.at(-1) ?? this.startWorker();
  }

  startWorker(more: Partial<WorkerOptions> = {}): TestWorker {
    const options = { ...this.workerOptions(`worker-${this.#workers.length}`), ...more };
    const worker = new TestWorker(options, this.runs, (log) => this.logs.push(log));
    this.#workers.push(worker);
    return worker;
  }

  /** Another worker in place of all: its runs go on there. */
  async replaceWorker(more: Partial<WorkerOptions> = {}): Promise<TestWorker> {
    for (const worker of this.#workers) await worker.close();
    return this.startWorker(more);
  }

  async createTestSession(spec: TestSessionSpec): Promise<TestSession> {
    this.#numbers += 1;
    const { clientId = `client-${this.#numbers}`, instruction } = spec;
    const chatThreadId = spec.chatThreadId ?? `${this.#numbers}`;
    const session = {
      sessionId: `session-${this.#numbers}`,
      clientId,
      chatThreadId,
      branch: `thread-${chatThreadId}`,
    };
    const { worker } = this;
    if (spec.hasBucket !== false) await this.createBucket(bucketOf(clientId));
    await worker.service.createSession({ ...session, instruction });
    return session;
  }

  async createBucket(Bucket: string): Promise<void> {
    if (this.#buckets.has(Bucket)) return;
    this.#buckets.add(Bucket);
    await this.owner.send(new CreateBucketCommand({ Bucket }));
    await this.allow(Bucket);
  }

  /** The worker may do everything with the bucket. */
  allow(Bucket: string): Promise<unknown> {
    return this.#putPolicy(Bucket, [{ Effect: 'Allow', Action: 's3:*' }]);
  }

  /** The worker may do everything but this with the bucket. */
  deny(Bucket: string, Action: string): Promise<unknown> {
    return this.#putPolicy(Bucket, [
      { Effect: 'Allow', Action: 's3:*' },
      { Effect: 'Deny', Action },
    ]);
  }

  async #putPolicy(Bucket: string, statements: readonly object[]): Promise<void> {
    const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];
    const Principal = { AWS: WORKER_ACCOUNT.accessKeyId };
    const Statement = statements.map((statement) => ({ ...statement, Principal, Resource }));
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
    await this.owner.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  }

  /** Resolves with the first `count` lines of that kind, those that are there already included. */
  async waitForLog(
    kind: SessionLogKind,
    { sessionId }: { readonly sessionId?: string } = {},
    count = 1,
  ): Promise<readonly SessionLog[]> {
    const found = (): readonly SessionLog[] => this.logsOf(kind, sessionId);
    await waitUntil(() => found().length >= count, WITHIN_MS).catch((error: unknown) => {
      const seen = this.logs.map((log) => `${log.sessionId} ${log.kind} ${log.message}`);
      throw new Error(`no ${count} ${kind}; seen:\n${seen.slice(-60).join('\n')}`, {
        cause: error,
      });
    });
    return found();
  }

  logsOf(kind: SessionLogKind, sessionId?: string): readonly SessionLog[] {
    return this.logs.filter(
      (log) => log.kind === kind && (sessionId === undefined || log.sessionId === sessionId),
    );
  }

  /** Each build of the session breaks like that, until it is healed. */
  injectFailure(sessionId: string, fault: BuildFault): Promise<void> {
    return writeFile(join(this.directory, 'faults', sessionId), fault);
  }

  healSession(sessionId: string): void {
    rmSync(join(this.directory, 'faults', sessionId), { force: true });
  }

  /** No packet passes between the workers and git and S3 while the work runs. */
  async simulateNetworkPartition(work: () => Promise<unknown>): Promise<void> {
    const { network, git, s3 } = this.stage;
    await network.cut(git);
    await network.cut(s3);
    try {
      await work();
    } finally {
      await network.heal();
    }
  }

  getSessionState(sessionId: string): Promise<SessionState> {
    return this.worker.service.getSessionState(sessionId);
  }

  getGitCommits(branch: string): Promise<readonly string[]> {
    return this.git.commits(branch);
  }

  pushDirectToGit(branch: string, files: Readonly<Record<string, string>>): Promise<void> {
    return this.git.push(branch, files);
  }

  /** The site of a client as its owner sees it, beside all faults. */
  store(clientId: string): SiteStore {
    return createS3SiteStore({ client: this.owner, bucket: bucketOf(clientId) });
  }

  pointer(clientId: string): Promise<Pointer | undefined> {
    return createPublisher({ store: this.store(clientId) }).current();
  }

  /** Resolves once the newest edit of the session is on its site. */
  async waitForS3Deployment({ sessionId, clientId }: TestSession): Promise<Pointer> {
    await this.waitForStatus(sessionId, ['published', 'superseded']);
    const pointer = await this.pointer(clientId);
    if (pointer === undefined) throw new Error(`nothing is published for ${clientId}`);
    return pointer;
  }

  async waitForStatus(
    sessionId: string,
    statuses: readonly SessionState['status'][],
  ): Promise<SessionState> {
    let state: SessionState | undefined;
    await waitUntil(async () => {
      state = await this.getSessionState(sessionId);
      return statuses.includes(state.status);
    }, WITHIN_MS).catch((error: unknown) => {
      const seen = this.logs.map((log) => `${log.sessionId} ${log.kind} ${log.message}`);
      const text = `${JSON.stringify(state)}\n${seen.slice(-60).join('\n')}`;
      throw new Error(`not ${statuses.join(' or ')}: ${text}`, { cause: error });
    });
    return state ?? this.getSessionState(sessionId);
  }

  async listS3Objects(clientId: string): Promise<readonly string[]> {
    const Bucket = bucketOf(clientId);
    const { Contents = [] } = await this.owner.send(new ListObjectsV2Command({ Bucket }));
    return Contents.map(({ Key = '' }) => Key);
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) await worker.close();
    this.owner.destroy();
    await this.claude.close();
    await this.stage.close();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A worker in this process. */
class TestWorker {
  readonly runner: MemoryRunner<PipelineFunctions>;
  readonly service: SessionService;
  readonly #opened: ReturnType<typeof openWorker>;
  readonly #stopLog: () => void;

  constructor(options: WorkerOptions, store: MemoryRunStore, onLog: (log: SessionLog) => void) {
    this.#opened = openWorker(options);
    const { pipeline } = this.#opened;
    this.#stopLog = pipeline.on('log', onLog);
    this.runner = createMemoryRunner({
      functions: pipeline.functions,
      store,
      leaseMs: LEASE_MS,
      clock: systemClock,
    });
    this.service = createSessionService(pipeline, this.runner);
  }

  /** Calls the listener with each line of this worker's log, before anything else happens in it. */
  onLog(listener: (log: SessionLog) => void): () => void {
    return this.#opened.pipeline.on('log', listener);
  }

  /** Replaces the password of the remote. */
  useGitPassword(password: string | undefined): void {
    this.#opened.credentials.set(gitCredential(password));
  }

  /** As SIGKILL would: it stores nothing more. */
  kill(): void {
    this.runner.kill();
  }

  async close(): Promise<void> {
    this.service.close();
    await this.runner.close();
    this.#stopLog();
    this.#opened.close();
  }
}
