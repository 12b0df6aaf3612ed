import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { QueryResult } from '../../src/database.ts';
import { HostProbe } from '../../src/hosts/host-probe.ts';
import { ScriptedConnection } from '../pool/scripted-connection.ts';

const PRIMARY = '[{"standby":false,"read_only":"off","lsn":"0/5","timeline":"00000001"}]';

/** Replies to each statement of a probe as a primary does. */
class ProbedConnection extends ScriptedConnection {
  override async pipeline(
    statements: readonly { readonly text: string }[],
  ): Promise<PromiseSettledResult<QueryResult<never>>[]> {
    return statements.map(({ text }) => {
      const rows = JSON.parse(text.includes('where pg_is_in_recovery') ? '[]' : PRIMARY);
      return {
        status: 'fulfilled',
        value: { rows, rowCount: 1, command: 'SELECT', fields: [] },
      };
    });
  }
}

test('a probe keeps its connection, except after a long silence, as of a process that was frozen', async () => {
  const clock = createFakeClock();
  const opened: ProbedConnection[] = [];
  const connect = async (): Promise<ProbedConnection> => {
    const connection = new ProbedConnection();
    opened.push(connection);
    return connection;
  };
  const probe = new HostProbe(connect, clock, 1_000);
  expect(await probe.run()).toMatchObject({ writable: true, timeline: 1, position: 5n });
  await clock.advance(1_000);
  await probe.run();
  expect(opened).toHaveLength(1);
  await clock.advance(60_000);
  await probe.run();
  expect(opened).toHaveLength(2);
  expect(opened[0]?.closed).toBe(true);
  probe.renew(1_000);
  await probe.run();
  expect(opened).toHaveLength(2);
  await clock.advance(1_000);
  probe.renew(1_000);
  await probe.run();
  expect(opened).toHaveLength(3);
  probe.end();
});
