import {
  type OpenPool,
  type PoolProbeResult,
  type Probe,
  probes,
  runProbe,
} from '@holdfast/database/probes';
import { createDatabase } from '@holdfast/database';
import { openStage } from '@holdfast/stage';
import { type Check, type ProbeSpec, check } from './check.ts';
import type { ProbeWorld } from './queue-probes.ts';

const POINTS = 2;

interface PoolProbe extends ProbeSpec {
  readonly probe: Probe;
}

export const poolProbes: readonly PoolProbe[] = probes.map((probe) => ({
  name: `${probe.name} (${probe.fault})`,
  points: POINTS,
  probe,
}));

/** Runs one probe of `@holdfast/database/probes` on a Postgres of its own. */
export async function probePool(
  { probe }: PoolProbe,
  open: OpenPool,
  { mode, clock }: ProbeWorld,
): Promise<Check[]> {
  const stage = await openStage({ ...(mode === undefined ? {} : { mode }), postgres: true });
  const { primary } = stage.postgres;
  const asked = createDatabase({ hosts: primary.direct.url, max: 1 });
  try {
    const row = await runProbe(probe, {
      open,
      clock,
      server: {
        url: primary.direct.url,
        proxiedUrl: primary.url,
        kill: () => primary.kill(),
        start: () => primary.start(),
        freeze: () => primary.freeze(),
        thaw: () => primary.thaw(),
        ask: async (sql) => (await asked.query(sql)).rows,
        link: {
          swallow: () => primary.link.faults.set('blackhole'),
          cutReplies: (maxBytes) =>
            primary.link.faults.set('limitData', { maxBytes, direction: 'toClient' }),
          heal: () => primary.link.heal(),
        },
      },
    });
    return [checkOf(row)];
  } finally {
    await asked.close({ deadlineMs: 1_000 }).catch(() => undefined);
    await stage.close();
  }
}

/** Errors that callers have to handle earn half of the points; a hang, a wrong answer and the end of the process none. */
function checkOf({ verdict, seen }: PoolProbeResult): Check {
  const held = check('no caller notices', POINTS, verdict === 'holds', `${verdict}: ${seen}`);
  return verdict === 'degrades' ? { ...held, earned: POINTS / 2 } : held;
}
