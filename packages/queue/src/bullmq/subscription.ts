import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '@holdfast/foundation';
import { Job, Worker } from 'bullmq';
import type { Delivery, RecoveredDeliveries, Subscription } from '../backend.ts';
import type { ManagedConnection } from '../redis/connection/managed-connection.ts';
import type { BullmqClients } from './clients.ts';
import { type JobData, parseJobData } from './job-data.ts';

/** The pause after an empty fetch: BullMQ's own blocking read cannot be cut short. */
const POLL_MS = 50;
/** Disables BullMQ's own limit: the queue counts the attempts of jobs whose consumers die. */
const MAX_STALLED = 1_000_000;

interface BullmqSubscriptionDeps {
  readonly topic: string;
  readonly connection: ManagedConnection;
  readonly clients: BullmqClients;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Pulls jobs from a BullMQ worker that does not run by itself. */
export class BullmqSubscription implements Subscription {
  readonly #deps: BullmqSubscriptionDeps;
  readonly #token = randomUUID();
  #worker: { readonly generation: number; readonly worker: Promise<Worker<JobData>> } | undefined;

  constructor(deps: BullmqSubscriptionDeps) {
    this.#deps = deps;
  }

  whenConnected(signal: AbortSignal): Promise<void> {
    return this.#deps.connection.whenConnected(signal);
  }

  async fetch(max: number): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    while (taken.length < max) {
      const job = await this.#call(async (worker) =>
        worker.getNextJob(this.#token, { block: false }),
      );
      if (job === undefined) break;
      taken.push(deliveryOf(job));
    }
    if (taken.length === 0) await sleep(this.#deps.clock, POLL_MS);
    return taken;
  }

  /** BullMQ itself returns the jobs of dead consumers to the queue, so that `fetch` delivers them. */
  async recover(held: readonly string[]): Promise<RecoveredDeliveries> {
    if (held.length === 0) {
      await this.#call(async () => undefined);
      return { deliveries: [], lost: [] };
    }
    const tokens = held.map(() => this.#token);
    const { leaseMs } = this.#deps;
    const unlocked = await this.#call((worker) =>
      worker.extendJobLocks([...held], tokens, leaseMs),
    );
    const lost: string[] = [];
    for (const handle of unlocked) if (await this.#exists(handle)) lost.push(handle);
    return { deliveries: [], lost };
  }

  async acknowledge(handles: readonly string[]): Promise<void> {
    await Promise.all(
      handles.map((handle) =>
        this.#settle(handle, (job) => job.moveToCompleted('handled', this.#token, false)),
      ),
    );
  }

  async deadLetter({ handle }: Delivery, reason: string): Promise<void> {
    await this.#settle(handle, (job) => job.moveToFailed(new Error(reason), this.#token, false));
  }

  async close(): Promise<void> {
    const worker = await this.#worker?.worker.catch(() => undefined);
    await worker?.close(true).catch(() => undefined);
  }

  /** A job that was handled or removed is not lost to another consumer. */
  #exists(handle: string): Promise<boolean> {
    return this.#call(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      return job !== undefined && job.finishedOn === undefined;
    });
  }

  /** Ignores a job that was removed or is locked by another consumer. */
  async #settle(handle: string, settle: (job: Job<JobData>) => Promise<unknown>): Promise<void> {
    await this.#call(async (worker) => {
      const job: Job<JobData> | undefined = await Job.fromId(worker, handle);
      if (job === undefined) return;
      try {
        await settle(job);
      } catch (error) {
        if (!isLostJob(error)) throw error;
      }
    });
  }

  #call<T>(run: (worker: Worker<JobData>) => Promise<T>): Promise<T> {
    return this.#deps.connection.call(async () => run(await this.#current()));
  }

  /** The worker of the current connection: the worker of a lost one may never answer. */
  #current(): Promise<Worker<JobData>> {
    const { clients, topic, leaseMs } = this.#deps;
    if (this.#worker?.generation !== clients.generation) {
      void this.close();
      this.#worker = {
        generation: clients.generation,
        worker: this.#create(clients, topic, leaseMs),
      };
    }
    return this.#worker.worker;
  }

  async #create(clients: BullmqClients, topic: string, leaseMs: number): Promise<Worker<JobData>> {
    const worker = new Worker<JobData>(clients.nameOf(topic), undefined, {
      ...clients.options,
      autorun: false,
      lockDuration: leaseMs,
      stalledInterval: leaseMs,
      maxStalledCount: MAX_STALLED,
    });
    worker.on('error', () => undefined);
    await worker.waitUntilReady();
    await worker.startStalledCheckTimer();
    return worker;
  }
}

/** Result codes of BullMQ's scripts: the job or its lock is missing, it is not active, or it is another consumer's. */
const LOST_CODES: ReadonlySet<unknown> = new Set([-1, -2, -3, -6]);

function isLostJob(error: unknown): boolean {
  return error instanceof Error && 'code' in error && LOST_CODES.has(error.code);
}

function deliveryOf(job: Job<JobData>): Delivery {
  const { history, ...data } = parseJobData(job.data);
  return {
    ...data,
    handle: job.id ?? '',
    deliveries: Math.max(1, job.attemptsStarted),
    ...(history.length > 0 && { history }),
  };
}
