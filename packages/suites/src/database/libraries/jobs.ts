import { Logger, type Runner, makeWorkerUtils, run } from 'graphile-worker';
import { PgBoss } from 'pg-boss';
import { sleep, systemClock } from '@holdfast/foundation';
import { type LibrarySession, type OpenSession, numbersOf } from './library-session.ts';

const RESTART_MS = 50;

/** Numbers that a worker has had, and how long after their acceptance. */
class Handled {
  readonly numbers: number[] = [];
  readonly latenciesMs: number[] = [];
  readonly #acceptedMs = new Map<number, number>();

  accept(number: number): void {
    this.#acceptedMs.set(number, systemClock.now());
  }

  handle(number: number): void {
    this.numbers.push(number);
    const acceptedMs = this.#acceptedMs.get(number);
    if (acceptedMs !== undefined) this.latenciesMs.push(systemClock.now() - acceptedMs);
  }

  /** A job that a worker had, or that the server still has, is not lost; another run of it is no loss either. */
  session(
    rest: Pick<LibrarySession, 'work' | 'close'> & { readonly left: string },
  ): LibrarySession {
    return {
      work: async (number) => {
        await rest.work(number);
        this.accept(number);
      },
      done: async (ask) => [...new Set([...this.numbers, ...numbersOf(await ask(rest.left))])],
      latenciesMs: this.latenciesMs,
      close: rest.close,
    };
  }
}

function numberOf(payload: unknown): number {
  const isPiece = typeof payload === 'object' && payload !== null && 'number' in payload;
  return isPiece ? Number(payload.number) : Number.NaN;
}

/** A worker gives up when it cannot say that a job is done; its application starts another one. */
export const graphileWorker: OpenSession = async ({ pool }) => {
  const handled = new Handled();
  const logger = new Logger(() => () => undefined);
  const closing = new AbortController();
  // The library warns of a pool without them.
  pool.on('error', () => undefined);
  pool.on('connect', () => undefined);
  let runner: Runner | undefined;
  const keepRunning = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        runner = await run({
          pgPool: pool,
          concurrency: 4,
          pollInterval: 200,
          noHandleSignals: true,
          // Without batches its own rejections go unhandled, and end the process.
          preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
          logger,
          taskList: { piece: (payload) => handled.handle(numberOf(payload)) },
        });
        await runner.promise;
      } catch {
        await sleep(systemClock, RESTART_MS);
      }
    }
  };
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  const running = keepRunning();
  return handled.session({
    work: (number) => utils.addJob('piece', { number }),
    left: `select payload->>'number' as number from graphile_worker._private_jobs`,
    async close() {
      closing.abort();
      await runner?.stop().catch(() => undefined);
      await running;
      await utils.release();
    },
  });
};

export const pgBoss: OpenSession = async ({ pool }) => {
  const handled = new Handled();
  const boss = new PgBoss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    supervise: false,
    schedule: false,
  });
  boss.on('error', () => undefined);
  await boss.start();
  await boss.createQueue('piece');
  await boss.work('piece', { pollingIntervalSeconds: 0.5, batchSize: 50 }, async (jobs) => {
    for (const { data } of jobs) handled.handle(numberOf(data));
  });
  return handled.session({
    work: (number) => boss.send('piece', { number }),
    left: `select data->>'number' as number from pgboss.job where name = 'piece'`,
    close: () => boss.stop({ graceful: false, close: false }),
  });
};
