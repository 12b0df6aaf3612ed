import { sleep, systemClock } from '@holdfast/foundation';
import { openRedisFixture } from '../redis-fixture.ts';
import { Ledger } from '../ledger.ts';
import type { ScoredFault } from './faults.ts';
import type { QueueModule } from './queue-module.ts';

/** The results of the jobs that were offered to one queue under one fault. */
export interface Score {
  /**
   * The share of the jobs offered during the fault that were accepted before its end, in percent. Excludes the
   * jobs of its last moment, which no disk could have stored in time.
   */
  readonly acceptedDuring: number;
  readonly rejected: number;
  /** Neither accepted nor rejected by the end. */
  readonly pending: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  /** Time from the server's recovery to the first job handled after it; NaN for never. */
  readonly backAfterMs: number;
}

const JOBS_PER_SECOND = 200;
const TICK_MS = 5;
/** The least time for accepting a job before the fault ends: the sync of a busy disk. */
const ANSWERED_WITHIN_MS = 50;
const BEFORE_MS = 1_000;
const AFTER_MS = 2_000;
/** How long after the end of the load a delivered job does not count as lost. */
const SETTLES_WITHIN_MS = 15_000;
const CLOSES_WITHIN_MS = 3_000;

interface Offer {
  readonly job: number;
  readonly atMs: number;
  acceptedAtMs?: number;
  isRejected?: true;
}

/** Runs one queue through one fault, under a load that does not wait for answers. */
export async function score(module: QueueModule, fault: ScoredFault): Promise<Score> {
  const fixture = await openRedisFixture(fault.settings ?? {});
  try {
    const proxy = await fixture.proxy();
    const { host, port } = proxy;
    const queue = await module.open({ host, port, directory: await fixture.directory() });
    const ledger = new Ledger();
    const work = (): void => queue.work((job) => ledger.delivered(job));
    if (fault.hasBacklog !== true) work();
    const load = offer((job) => queue.add(job), ledger);

    await sleep(systemClock, BEFORE_MS);
    const faultAtMs = systemClock.now();
    await fault.inject(fixture, proxy);
    await sleep(systemClock, fault.lastsMs);
    const endsAtMs = systemClock.now();
    await fault.recover(fixture, proxy);
    const wholeAtMs = systemClock.now();
    if (fault.hasBacklog === true) work();
    const deadline = sleep(systemClock, AFTER_MS + SETTLES_WITHIN_MS).then(() => Number.NaN);
    const back = Promise.race([ledger.nextDelivery(), deadline]);
    await sleep(systemClock, AFTER_MS);
    const offers = await load.stop();
    await Promise.race([load.answered(), sleep(systemClock, SETTLES_WITHIN_MS)]);
    await ledger.settled(SETTLES_WITHIN_MS);
    const backAtMs = await back;
    const untilMs = endsAtMs - ANSWERED_WITHIN_MS;
    const during = offers.filter(({ atMs }) => atMs >= faultAtMs && atMs < untilMs);
    const inTime = during.filter(({ acceptedAtMs = Infinity }) => acceptedAtMs <= endsAtMs);
    const { lost, duplicated, outOfOrder } = ledger.verdict();
    const isPending = ({ acceptedAtMs, isRejected }: Offer): boolean =>
      acceptedAtMs === undefined && isRejected === undefined;
    const result = {
      acceptedDuring: (100 * inTime.length) / during.length,
      rejected: offers.filter(({ isRejected }) => isRejected).length,
      pending: offers.filter(isPending).length,
      lost: lost.length,
      duplicated: duplicated.length,
      outOfOrder: outOfOrder.length,
      backAfterMs: backAtMs - wholeAtMs,
    };
    await Promise.race([
      queue.close().catch(() => undefined),
      sleep(systemClock, CLOSES_WITHIN_MS),
    ]);
    return result;
  } finally {
    await fixture.close();
  }
}

function offer(
  add: (job: number) => Promise<unknown>,
  ledger: Ledger,
): { stop(): Promise<readonly Offer[]>; answered(): Promise<unknown> } {
  const offers: Offer[] = [];
  const answers: Promise<void>[] = [];
  const stopping = new AbortController();
  const offerOne = async (one: Offer): Promise<void> => {
    try {
      await add(one.job);
      one.acceptedAtMs = systemClock.now();
      ledger.accepted(one.job, 'it');
    } catch {
      one.isRejected = true;
    }
  };
  const run = async (): Promise<void> => {
    const startedMs = systemClock.now();
    while (!stopping.signal.aborted) {
      const due = ((systemClock.now() - startedMs) / 1_000) * JOBS_PER_SECOND;
      while (offers.length < due) {
        const one = { job: offers.length + 1, atMs: systemClock.now() };
        offers.push(one);
        answers.push(offerOne(one));
      }
      await sleep(systemClock, TICK_MS, stopping.signal).catch(() => undefined);
    }
  };
  const running = run();
  return {
    answered: () => Promise.all(answers),
    async stop() {
      stopping.abort();
      await running;
      return offers;
    },
  };
}
