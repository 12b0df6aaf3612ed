import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import {
  type CredentialHolder,
  type PublishPipeline,
  SessionStates,
  createClaudeModel,
  createCredentialHolder,
  createPublishPipeline,
  createPublisher,
} from '@holdfast/publisher';
import { createS3SiteStore } from '@holdfast/publisher/s3';

/** All that a worker needs to know, as JSON, so that it can be in a process of its own. */
export interface WorkerOptions {
  readonly gitUrl: string;
  readonly gitPassword: string | undefined;
  readonly s3Url: string;
  readonly claudeUrl: string;
  readonly claudeKey: string;
  readonly workDirectory: string;
  readonly faultsDirectory: string;
  /** Default: the stub. */
  readonly build?: { readonly args: readonly string[]; readonly modulesDirectory: string };
  readonly buildTimeoutMs?: number;
  readonly buildMaxMemoryBytes?: number;
  readonly openDurationMs?: number;
  readonly modelTimeoutMs?: number;
  readonly modelIdleTimeoutMs?: number;
  readonly storeTimeoutMs?: number;
  readonly maxRounds?: number;
}

/** The account of the workers at S3: it may do what the policy of a bucket allows. */
export const WORKER_ACCOUNT = { accessKeyId: 'worker', secretAccessKey: 'worker-secret' };
/** The bucket with the states of sessions. */
export const SESSIONS_BUCKET = 'sessions';
const GIT_USER = 'publisher';
const STUB = join(import.meta.dirname, 'stub-build-main.ts');

/** The bucket of a client's site. */
export function bucketOf(clientId: string): string {
  return `edit-${clientId}`;
}

/** The credential of the remote, by its password. */
export function gitCredential(
  password: string | undefined,
): ReturnType<CredentialHolder['current']> {
  return password === undefined ? undefined : { username: GIT_USER, password };
}

/** A client of the stage's S3. */
export function s3Client(url: string, credentials: typeof WORKER_ACCOUNT): S3Client {
  return new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
  });
}

/** The pipeline of a worker on the servers of a stage, with short times. */
export function openWorker(options: WorkerOptions): {
  readonly pipeline: PublishPipeline;
  readonly credentials: CredentialHolder;
  close(): void;
} {
  const client = s3Client(options.s3Url, WORKER_ACCOUNT);
  const storeOf = (bucket: string): ReturnType<typeof createS3SiteStore> =>
    createS3SiteStore({ client, bucket, requestTimeoutMs: options.storeTimeoutMs ?? 5_000 });
  const credentials = createCredentialHolder(gitCredential(options.gitPassword));
  const { build } = options;
  const pipeline = createPublishPipeline({
    remote: { url: options.gitUrl, credentials },
    workDirectory: options.workDirectory,
    ...(build === undefined ? {} : { modulesDirectory: build.modulesDirectory }),
    model: createClaudeModel({
      apiKey: () => options.claudeKey,
      baseUrl: options.claudeUrl,
      model: 'claude-test',
      timeoutMs: options.modelTimeoutMs ?? 60_000,
      idleTimeoutMs: options.modelIdleTimeoutMs ?? 30_000,
      initialDelayMs: 50,
      maxDelayMs: 2_000,
      maxAttempts: 8,
      failureThreshold: 100,
    }),
    build: {
      command: process.execPath,
      args: build?.args ?? [STUB, '{output}'],
      timeoutMs: options.buildTimeoutMs ?? 60_000,
      killGraceMs: 300,
      maxMemoryBytes: options.buildMaxMemoryBytes ?? 2_000_000_000,
      env: { HOLDFAST_BUILD_FAULTS: options.faultsDirectory },
    },
    target: (clientId) => ({
      name: bucketOf(clientId),
      publisher: createPublisher({ store: storeOf(bucketOf(clientId)), retryDelayMs: 20 }),
    }),
    sessions: new SessionStates(storeOf(SESSIONS_BUCKET)),
    probeTimeoutMs: 2_000,
    gitTimeoutMs: 20_000,
    staleLockMs: 1,
    maxPushAttempts: 20,
    roundDelayMs: 100,
    maxRoundDelayMs: 1_000,
    maxRounds: options.maxRounds ?? 30,
    openDurationMs: options.openDurationMs ?? 500,
  });
  return { pipeline, credentials, close: () => client.destroy() };
}
