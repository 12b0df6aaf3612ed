import { nextEvent } from '@holdfast/foundation';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import { PROBE } from '../../src/hosts/host-probe.ts';
import type { Database } from '../../src/index.ts';

/** A server that replies to a cluster's probes, and to reads with its name. */
export async function startNode(
  name: string,
  role: 'primary' | 'standby',
  timeline = 1,
): Promise<FakePostgres> {
  const server = await createFakePostgres({ behavior: { role, timeline } });
  server.reply(PROBE.text, () => {
    const { behavior } = server;
    const isStandby = behavior.role === 'standby';
    const row = {
      standby: isStandby,
      read_only: isStandby ? 'on' : 'off',
      lsn: isStandby ? behavior.replayLsn : behavior.lsn,
      timeline: behavior.timeline.toString(16).padStart(8, '0'),
    };
    return { rows: [row] };
  });
  server.reply('select who', { rows: [{ who: name }] });
  server.reply(/^insert/, () =>
    server.behavior.role === 'standby' ? { error: '25006' } : { command: 'INSERT 0 1' },
  );
  return server;
}

export function writesOf(server: FakePostgres): number {
  return server.statements().filter((sql) => sql.startsWith('insert')).length;
}

function roles(db: Database): string[] {
  return db.health().hosts.map(({ role }) => role);
}

/** Resolves once the hosts have these roles. */
export async function untilRoles(db: Database, wanted: readonly string[]): Promise<void> {
  while (roles(db).join() !== wanted.join()) await nextEvent(db, 'host');
}
