import { nextEvent } from '@holdfast/foundation';
import {
  type FakePostgres,
  type FakeReply,
  createFakePostgres,
} from '@holdfast/emulators/postgres';
import type { Database } from '../../src/index.ts';

/** Replies to whoever asks for the server's role and its position in the log. */
export function scriptPositions(server: FakePostgres): void {
  const reply = (role: 'primary' | 'standby') => (): FakeReply => {
    const { behavior } = server;
    const lsn = role === 'standby' ? behavior.replayLsn : behavior.lsn;
    const timeline = behavior.timeline.toString(16).padStart(8, '0');
    return { rows: behavior.role === role ? [{ lsn, timeline }] : [], command: 'SELECT' };
  };
  server.reply(/where not pg_is_in_recovery/, reply('primary'));
  server.reply(/where pg_is_in_recovery/, reply('standby'));
}

/** A server that replies to a cluster's probes, and to reads with its name. */
export async function startNode(
  name: string,
  role: 'primary' | 'standby',
  timeline = 1,
): Promise<FakePostgres> {
  const server = await createFakePostgres({ behavior: { role, timeline } });
  scriptPositions(server);
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
