import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { DBOS, type WorkflowStatus } from '@dbos-inc/dbos-sdk';
import {
  type Clock,
  boolean,
  integer,
  objectWith,
  parseOptions,
  propertyOf,
  sleep,
  string,
  systemClock,
  InvalidOptionError,
  type OptionRule,
} from '@holdfast/foundation';
import { Pool } from 'pg';
import type {
  Durable,
  DurableRunner,
  RunFunctions,
  RunState,
  RunSummary,
  RunnerCallOptions,
} from '../durable.ts';
import {
  RunCancelledError,
  RunConflictError,
  RunFailedError,
  RunnerClosedError,
  UnknownRunError,
  UnknownRunFunctionError,
} from '../errors.ts';
import { parseListFilter } from '../list-filter.ts';
import { toStoredError } from '../stored-error.ts';
import { toStored } from '../stored-value.ts';
import { Executions } from './executions.ts';
import { type LeaseRow, RunLeases } from './run-leases.ts';
import { RunnerExistsError } from './runner-exists-error.ts';

/** Options of {@link createDbosRunner}. All times in milliseconds. */
export interface DbosRunnerOptions<Functions extends RunFunctions> {
  /** The functions that it runs, by name; all processes that share a database have the same. */
  functions: Functions;
  /** The Postgres database in which runs are stored, as a URL. */
  databaseUrl: string;
  /** The schema of the tables, DBOS's and the leases': up to 48 of a-z, 0-9 and _, no digit first. Default `holdfast_runs`. */
  schema?: string;
  /** How long after its last sign of life a process loses its runs. Default 10 000. */
  leaseMs?: number;
  /** How long a run may make no progress before it is taken from its process. Default 900 000. */
  progressTimeoutMs?: number;
  /** How often the database is asked for runs, results and messages. Default 250. */
  pollMs?: number;
  /** Whether this process executes runs, or only starts them and asks for them. Default true. */
  executes?: boolean;
  /** How many runs this process executes at a time. Default 100. */
  maxConcurrent?: number;
  /** The most connections to the database. Default 10. */
  maxConnections?: number;
  /** The source of time for leases and steps. Default: the system clock. */
  clock?: Clock;
}

const DAY_MS = 86_400_000;
const MIN_LEASE_MS = 100;
const MAX_POLL_MS = 60_000;
const MAX_CONCURRENT = 100_000;
const MAX_URL = 4_096;
const QUEUE = 'holdfast-runs';
/** Runs are taken over by processes of any build: their functions, not their text, decide. */
const VERSION = 'holdfast-runs-1';

/** The name is part of statements, of ours and of the engine's; no other one is the same in all of them. */
const schemaNameRule: OptionRule<string> = {
  permitted: 'a name of up to 48 letters a-z, digits and _ that does not begin with a digit',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[a-z_][a-z0-9_]{0,47}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 'holdfast_runs',
};

const optionRules = {
  functions: objectWith<RunFunctions>([]),
  databaseUrl: string({ maxLength: MAX_URL }),
  schema: schemaNameRule,
  leaseMs: integer({ min: MIN_LEASE_MS, max: DAY_MS, default: 10_000 }),
  progressTimeoutMs: integer({ min: MIN_LEASE_MS, max: DAY_MS, default: 900_000 }),
  pollMs: integer({ min: 10, max: MAX_POLL_MS, default: 250 }),
  executes: boolean(true),
  maxConcurrent: integer({ min: 1, max: MAX_CONCURRENT, default: 100 }),
  maxConnections: integer({ min: 4, max: 1_000, default: 10 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

type Resolved = Required<DbosRunnerOptions<RunFunctions>>;

let isOpen = false;

/**
 * Opens the runner of this process on DBOS: Postgres stores the runs, and any process with the same functions goes on
 * with those of one that died.
 *
 * @throws InvalidOptionError
 * @throws RunnerExistsError if the process has a runner already: DBOS has one for each process.
 */
export async function createDbosRunner<Functions extends RunFunctions>(
  options: DbosRunnerOptions<Functions>,
): Promise<DurableRunner<Functions>> {
  const resolved = parseOptions('createDbosRunner', optionRules, options);
  if (isOpen) throw new RunnerExistsError();
  isOpen = true;
  const pool = newPool(resolved, 'holdfast-leases');
  const enginePool = newPool(resolved, 'holdfast-runs');
  try {
    const executorId = randomUUID();
    const { schema, leaseMs } = resolved;
    const leases = new RunLeases(pool, schema, executorId, leaseMs);
    const executions = new Executions({ ...resolved, leases, queueName: QUEUE });
    await leases.migrate();
    const workflows = await launch(resolved, executorId, enginePool, executions);
    if (resolved.executes) executions.begin();
    return new DbosRunner<Functions>({
      resolved,
      leases,
      executions,
      workflows,
      pools: [pool, enginePool],
    });
  } catch (error) {
    await DBOS.shutdown({ deregister: true });
    await Promise.all([pool.end(), enginePool.end()]);
    isOpen = false;
    throw error;
  }
}

function newPool({ databaseUrl, maxConnections }: Resolved, name: string): Pool {
  const pool = new Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    application_name: name,
    // A frozen server must not hold back the duty that finds leases lost.
    query_timeout: 30_000,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    allowExitOnIdle: true,
  });
  // An idle connection that breaks is replaced; the next query tells.
  pool.on('error', () => undefined);
  return pool;
}

type Workflow = (input: Durable) => Promise<Durable>;

async function launch(
  { functions, schema, executes, maxConcurrent, pollMs, databaseUrl }: Resolved,
  executorId: string,
  pool: Pool,
  executions: Executions,
): Promise<ReadonlyMap<string, Workflow>> {
  DBOS.setConfig({
    name: 'holdfast',
    systemDatabaseUrl: databaseUrl,
    systemDatabasePool: pool,
    systemDatabaseSchemaName: schema,
    executorID: executorId,
    applicationVersion: VERSION,
    listenQueues: executes ? [QUEUE] : [],
    logger: silent,
  });
  const workflows = new Map<string, Workflow>();
  for (const name of Object.keys(functions)) {
    const run = async (input: Durable): Promise<Durable> => executions.execute(name, input);
    // Takeovers are no failed attempts: whether a run is stuck is the watchdog's to say.
    const config = { name, maxRecoveryAttempts: Number.MAX_SAFE_INTEGER };
    workflows.set(name, DBOS.registerWorkflow(run, config));
  }
  await DBOS.launch();
  await DBOS.registerQueue(QUEUE, {
    workerConcurrency: maxConcurrent,
    minPollingIntervalMs: pollMs,
    onConflict: 'always_update',
  });
  return workflows;
}

/** Errors reach the caller; what DBOS would write beside them is not for the service's output. */
const silent = { info() {}, debug() {}, warn() {}, error() {} };

interface RunnerDeps {
  readonly resolved: Resolved;
  readonly leases: RunLeases;
  readonly executions: Executions;
  readonly workflows: ReadonlyMap<string, Workflow>;
  readonly pools: readonly Pool[];
}

class DbosRunner<Functions extends RunFunctions> implements DurableRunner<Functions> {
  readonly #deps: RunnerDeps;
  #closing: Promise<void> | undefined;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
  }

  async start(
    name: string,
    input: Durable,
    { runId, signal }: RunnerCallOptions & { readonly runId: string },
  ): Promise<void> {
    this.#assertOpen(signal);
    const { workflows, leases } = this.#deps;
    const workflow = workflows.get(name);
    if (workflow === undefined) throw new UnknownRunFunctionError(name, [...workflows.keys()]);
    const stored = toStored('the input of a run', input);
    await this.#refuseOther(runId, name, stored);
    await leases.add(runId);
    try {
      await DBOS.startWorkflow(workflow, { workflowID: runId, queueName: QUEUE })(stored);
    } finally {
      // Two may start it at once: what was stored first counts.
      await this.#refuseOther(runId, name, stored);
    }
  }

  async result(runId: string, options?: RunnerCallOptions): Promise<Durable> {
    const { clock, pollMs } = this.#deps.resolved;
    while (true) {
      this.#assertOpen(options?.signal);
      const state = stateOf(await this.#status(runId), undefined);
      if (state.state === 'succeeded') return state.output;
      if (state.state === 'cancelled') throw new RunCancelledError(runId);
      if (state.state === 'failed') {
        throw new RunFailedError(runId, toStoredError((await this.#status(runId)).error));
      }
      await sleep(clock, pollMs, options?.signal);
    }
  }

  async send(
    runId: string,
    topic: string,
    message: Durable,
    options?: RunnerCallOptions,
  ): Promise<void> {
    this.#assertOpen(options?.signal);
    const stored = toStored('a message', message);
    await this.#status(runId);
    await DBOS.send(runId, { message: stored }, topic);
  }

  async cancel(runId: string, options?: RunnerCallOptions): Promise<boolean> {
    this.#assertOpen(options?.signal);
    const { leases, executions } = this.#deps;
    const before = await this.#status(runId);
    if (before.status === 'CANCELLED') return false;
    await DBOS.cancelWorkflow(runId);
    const { status } = await this.#status(runId);
    if (status !== 'CANCELLED') return false;
    await leases.retire([runId]);
    executions.interrupt(runId, new RunCancelledError(runId));
    return true;
  }

  async list(filter?: Parameters<DurableRunner['list']>[0]): Promise<readonly RunSummary[]> {
    this.#assertOpen(filter?.signal);
    const { name, state, limit } = parseListFilter(filter);
    const names = [...this.#deps.workflows.keys()];
    if (names.length === 0) return [];
    const found = await DBOS.listWorkflows({
      limit,
      sortDesc: true,
      workflowName: name ?? names,
      ...(state === undefined ? {} : { status: [...STATUSES[state]] }),
    });
    const rows = await this.#deps.leases.read(found.map(({ workflowID }) => workflowID));
    return found.map((status) => summaryOf(status, rows.get(status.workflowID)));
  }

  async close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #end(): Promise<void> {
    const { executions, leases, pools } = this.#deps;
    executions.end();
    try {
      await leases.release();
    } catch {
      // Without the database they lapse by themselves.
    }
    await DBOS.shutdown({ deregister: true });
    await Promise.all(pools.map(async (pool) => pool.end()));
    isOpen = false;
  }

  #assertOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw new RunnerClosedError();
  }

  async #refuseOther(runId: string, name: string, input: Durable): Promise<void> {
    const status = await DBOS.getWorkflowStatus(runId);
    if (status === null) return;
    if (status.workflowName !== name) throw new RunConflictError(runId, 'function');
    if (!isDeepStrictEqual(status.input?.[0], input)) throw new RunConflictError(runId, 'input');
  }

  async #status(runId: string): Promise<WorkflowStatus> {
    const status = await DBOS.getWorkflowStatus(runId);
    if (status === null) throw new UnknownRunError(runId);
    return status;
  }
}

const STATUSES = {
  pending: ['ENQUEUED', 'DELAYED'],
  running: ['PENDING'],
  succeeded: ['SUCCESS'],
  failed: ['ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'],
  cancelled: ['CANCELLED'],
} as const;

function summaryOf(status: WorkflowStatus, row: LeaseRow | undefined): RunSummary {
  return {
    runId: status.workflowID,
    name: status.workflowName,
    createdAtMs: status.createdAt,
    progressAtMs: row?.progressAtMs ?? status.createdAt,
    ...stateOf(status, row),
  };
}

function stateOf(status: WorkflowStatus, row: LeaseRow | undefined): RunState {
  switch (status.status) {
    case 'SUCCESS':
      return { state: 'succeeded', output: toStored('the output of a run', status.output) };
    case 'ERROR':
    case 'MAX_RECOVERY_ATTEMPTS_EXCEEDED':
      return { state: 'failed', error: String(propertyOf(status.error, 'message')) };
    case 'CANCELLED':
      return { state: 'cancelled' };
    case 'PENDING':
      return { state: 'running', step: row?.step, fence: row?.fence ?? 0n };
    default:
      return { state: 'pending' };
  }
}
