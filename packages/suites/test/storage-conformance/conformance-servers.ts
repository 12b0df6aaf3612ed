import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import { isHoldfastError } from '@holdfast/foundation';
import { divergences } from './divergences.ts';
import { type Check, wantedFor } from './run-checks.ts';

/** A server that checks are run against. */
export interface ConformanceServer<World> {
  /** Opens a separate world for one check. */
  open(name: string): Promise<World & { close(): void }>;
  close(): Promise<void>;
}

export interface ConformancePlan<World> {
  /** The name of the server in the list of divergences. */
  readonly server: string;
  readonly stage: 'local' | 'docker' | 'compose';
  /** Rejects with a StageModeError where the server is unavailable; its checks are then skipped by name. */
  open(): Promise<ConformanceServer<World>>;
  readonly checks: readonly Check<World>[];
}

const FAMILY = 'storage-conformance';
const MAX_NOTE = 1_000;
/** Distinguishes the buckets of this run from those of other runs on a shared server. */
const run = randomUUID().slice(0, 8);

/** Runs every check against one server; where the server is unavailable, skips each by name with the reason. */
export async function runAllChecks<World>(plan: ConformancePlan<World>): Promise<void> {
  const { server, stage, checks } = plan;
  const name = stage === 'local' ? server : `${server} in ${stage}`;
  const scenario = `${name} behaves as an adapter expects`;
  const recordNote = (note: string): void => {
    record({ family: FAMILY, scenario, fault: 'none', stage, note: note.slice(0, MAX_NOTE) });
  };
  const opened = await openIfAvailable(plan);
  if (typeof opened === 'string') {
    recordNote(`skipped: ${opened}`);
    for (const check of checks) {
      // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
      test.skip(`${name}: ${check.name} (${opened})`, () => undefined);
    }
    return;
  }
  let held = 0;
  afterAll(async () => {
    await opened.close();
    recordNote(`${held} of ${checks.length} checks gave the expected or the listed result`);
  });
  for (const [at, check] of checks.entries()) {
    test(`${name}: ${check.name}`, async () => {
      const world = await opened.open(`check-${run}-${at}`);
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
 * The real server that a mode of the stage provides, or our emulator where an image of images/build.sh replaces
 * it. That tests how the containers are assembled; the checks then apply the divergences of the emulator.
 */
export function serverIn(
  image: string | undefined,
  { real, own }: { readonly real: string; readonly own: string },
): string {
  return image?.startsWith('holdfast/') === true ? own : real;
}

/** The server, or why it is unavailable on this machine. */
async function openIfAvailable<World>(
  plan: ConformancePlan<World>,
): Promise<ConformanceServer<World> | string> {
  try {
    return await plan.open();
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'STAGE_MODE_UNAVAILABLE') return error.message;
    throw error;
  }
}
