import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import { isHoldfastError } from '@holdfast/foundation';
import { divergences } from './divergences.ts';
import { type Check, wantedFor } from './run-checks.ts';

/** A server that checks are run against. */
export interface Ground<World> {
  /** A world of its own for one check. */
  open(name: string): Promise<World & { close(): void }>;
  close(): Promise<void>;
}

export interface GroundPlan<World> {
  /** As divergences name the server. */
  readonly server: string;
  readonly stage: 'local' | 'docker' | 'compose';
  /** Rejects with a StageModeError where the server cannot stand: its checks are then skipped by name. */
  open(): Promise<Ground<World>>;
  readonly checks: readonly Check<World>[];
}

const FAMILY = 'storage-conformance';
const MAX_NOTE = 1_000;
/** Tells the buckets of this run from those of others on a server that stood already. */
const run = randomUUID().slice(0, 8);

/** Runs every check against one server; where that cannot stand, each is skipped by name, and why is told. */
export async function judgeAll<World>(plan: GroundPlan<World>): Promise<void> {
  const { server, stage, checks } = plan;
  const name = stage === 'local' ? server : `${server} in ${stage}`;
  const scenario = `${name} keeps what an adapter relies on`;
  const tell = (note: string): void => {
    record({ family: FAMILY, scenario, fault: 'none', stage, note: note.slice(0, MAX_NOTE) });
  };
  const ground = await openWhereItStands(plan);
  if (typeof ground === 'string') {
    tell(`not judged: ${ground}`);
    for (const check of checks) {
      // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
      test.skip(`${name}: ${check.name} (${ground})`, () => undefined);
    }
    return;
  }
  let held = 0;
  afterAll(async () => {
    await ground.close();
    tell(`${held} of ${checks.length} checks came to what is expected or listed`);
  });
  for (const [at, check] of checks.entries()) {
    test(`${name}: ${check.name}`, async () => {
      const world = await ground.open(`check-${run}-${at}`);
      try {
        expect(await check.run(world)).toBe(wantedFor(check, server, divergences));
        held += 1;
      } finally {
        world.close();
      }
    });
  }
}

/**
 * The real server that a mode of the stage brings, or our own where one of images/build.sh stands in for it: that
 * proves how the containers are put together, and is judged as what it is.
 */
export function serverIn(
  image: string | undefined,
  { real, own }: { readonly real: string; readonly own: string },
): string {
  return image?.startsWith('holdfast/') === true ? own : real;
}

/** The ground, or why it cannot stand on this machine. */
async function openWhereItStands<World>(plan: GroundPlan<World>): Promise<Ground<World> | string> {
  try {
    return await plan.open();
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'STAGE_MODE_UNAVAILABLE') return error.message;
    throw error;
  }
}
