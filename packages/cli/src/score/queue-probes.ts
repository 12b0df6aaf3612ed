import { type Clock, sleep } from '@holdfast/foundation';
import { type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { DemoLedger } from '../demo/ledger.ts';
import { type Check, type ProbeSpec, check } from './check.ts';
import { OfferedLoad } from './offered-load.ts';
import type { OpenScoredQueue } from './scored-module.ts';

interface QueueFault extends ProbeSpec {
  readonly lastsMs: number;
  inject(redis: ServerHandle): Promise<void>;
  recover(redis: ServerHandle): Promise<void>;
}

/** What a probe has beside the module. */
export interface ProbeWorld {
  readonly mode: StageMode | undefined;
  /** An empty folder. */
  readonly directory: string;
  readonly clock: Clock;
}

const [LOST_POINTS, DOUBLED_POINTS, AWAY_POINTS, BACK_POINTS] = [6, 2, 2, 2];
const POINTS = LOST_POINTS + DOUBLED_POINTS + AWAY_POINTS + BACK_POINTS;
const JOBS_PER_SECOND = 100;
const BEFORE_MS = 800;
const AFTER_MS = 800;
/** How long after the end of the load an answer, and after that a delivery, may take. */
const SETTLES_WITHIN_MS = 5_000;
const POLL_MS = 25;
const CLOSES_WITHIN_MS = 3_000;
/** Of a hundred jobs offered during an outage, so many make a queue that accepts them. */
const MOST = 0.9;

const nothing = (): Promise<void> => Promise.resolve();

export const queueFaults: readonly QueueFault[] = [
  {
    name: 'a sound Redis',
    points: POINTS - AWAY_POINTS,
    lastsMs: 0,
    inject: nothing,
    recover: nothing,
  },
  {
    name: 'Redis killed under load, back after 1.5 s',
    points: POINTS,
    lastsMs: 1_500,
    inject: (redis) => redis.kill(),
    recover: (redis) => redis.start(),
  },
  {
    name: 'Redis frozen under load for 2 s',
    points: POINTS,
    lastsMs: 2_000,
    inject: (redis) => redis.freeze(),
    recover: (redis) => redis.thaw(),
  },
  {
    name: 'connections reset under load for 1 s',
    points: POINTS,
    lastsMs: 1_000,
    inject: async (redis) => redis.link.faults.set('reset'),
    recover: async (redis) => {
      await redis.link.heal();
    },
  },
];

/** Runs a queue through one fault of a Redis of its own. */
export async function probeQueue(
  fault: QueueFault,
  open: OpenScoredQueue,
  { mode, directory, clock }: ProbeWorld,
): Promise<Check[]> {
  const stage = await openStage({
    ...(mode === undefined ? {} : { mode }),
    // What it has acknowledged is on its disk: a job that is lost, the queue has lost.
    redis: { settings: { appendonly: 'yes', appendfsync: 'always' } },
  });
  try {
    const { redis } = stage;
    const queue = await open({ url: redis.url, host: redis.host, port: redis.port, directory });
    const found = new Map<number, number>();
    await queue.work((job) => void found.set(job, (found.get(job) ?? 0) + 1));
    const ledger = new DemoLedger();
    let isAway = false;
    const load = new OfferedLoad({
      ledger,
      clock,
      perSecond: JOBS_PER_SECOND,
      handOver: (job) => queue.add(job),
      isAway: () => isAway,
    });
    await sleep(clock, BEFORE_MS);
    if (fault.lastsMs > 0) {
      await fault.inject(redis);
      isAway = true;
      await sleep(clock, fault.lastsMs);
      isAway = false;
      await fault.recover(redis);
    }
    const firstAfter = ledger.next();
    await sleep(clock, AFTER_MS);
    await load.stop(SETTLES_WITHIN_MS);
    await untilDelivered(ledger, found, clock);
    const checks = judge(fault, ledger, found, load.away, firstAfter);
    await Promise.race([
      Promise.resolve(queue.close()).catch(nothing),
      sleep(clock, CLOSES_WITHIN_MS),
    ]);
    return checks;
  } finally {
    await stage.close();
  }
}

/** Waits until every accepted job was delivered, or none was for a while. */
async function untilDelivered(
  ledger: DemoLedger,
  found: ReadonlyMap<number, number>,
  clock: Clock,
): Promise<void> {
  let [size, sinceMs] = [found.size, clock.now()];
  while (ledger.acceptedNumbers().some((job) => !found.has(job))) {
    if (found.size > size) [size, sinceMs] = [found.size, clock.now()];
    if (clock.now() - sinceMs > SETTLES_WITHIN_MS) return;
    await sleep(clock, POLL_MS);
  }
}

function judge(
  { lastsMs }: QueueFault,
  ledger: DemoLedger,
  found: ReadonlyMap<number, number>,
  away: OfferedLoad['away'],
  firstAfter: number,
): Check[] {
  const { accepted, lost, doubled } = ledger.judge(found);
  const isBack = [...found.keys()].some((job) => job > firstAfter);
  const share = away.offered === 0 ? 1 : away.accepted / away.offered;
  return [
    // A queue that accepts nothing keeps no promise by losing nothing.
    check(
      'loses no accepted job',
      LOST_POINTS,
      accepted > 0 && lost.length === 0,
      `lost ${lost.length} of ${accepted}`,
    ),
    check(
      'delivers none twice',
      DOUBLED_POINTS,
      accepted > 0 && doubled.length === 0,
      `doubled ${doubled.length}`,
    ),
    check('delivers jobs added afterwards', BACK_POINTS, isBack, isBack ? 'yes' : 'no'),
    ...(lastsMs === 0
      ? []
      : [
          check(
            'accepts jobs meanwhile',
            AWAY_POINTS,
            share >= MOST,
            `${away.accepted} of ${away.offered}`,
          ),
        ]),
  ];
}
