import { expect } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { openPostgresFixture, untilTrue } from '../../../src/database/postgres-fixture.ts';
import { scenario, withinMsOf } from '../../../src/database/scenario.ts';

const CANCELS = Number(process.env['HOLDFAST_CANCELS'] ?? 400);
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 20_261_122);
const CALLERS = 20;
/** Much longer than the deadlines that race: a query that ends early was not ended by its own deadline. */
const PATIENT_MS = 60_000;

scenario(
  {
    promise: 'a canceled query ends on the server, and no other query ends with it',
    fault: `${CANCELS} deadlines that race the answers, other queries on the same 4 connections`,
    withinMs: withinMsOf(CANCELS, 50),
  },
  openPostgresFixture,
  async (fixture) => {
    const random = seededRandom(SEED);
    const database = fixture.database({
      max: 4,
      acquireTimeoutMs: PATIENT_MS,
      queryTimeoutMs: PATIENT_MS,
    });
    await database.query('select 1');
    let begun = 0;
    let answered = 0;
    const strange: unknown[] = [];
    const hurry = async (): Promise<void> => {
      const timeoutMs = 1 + Math.floor(random() * 5);
      const lease = await database.acquire();
      try {
        await lease.query('select pg_sleep($1)', [random() * 0.005], { timeoutMs });
      } catch (error) {
        if (codeOf(error) !== 'DATABASE_QUERY_TIMEOUT') strange.push(error);
      } finally {
        lease.release();
      }
    };
    const caller = async (): Promise<void> => {
      while (begun < CANCELS) {
        const number = (begun += 1);
        await hurry();
        const { rows } = await database.query('select $1::int as number', [number]);
        expect(rows).toEqual([{ number }]);
        answered += 1;
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    expect({ seed: SEED, strange }).toEqual({ seed: SEED, strange: [] });
    await untilTrue(async () => {
      const [row] = await fixture.ask(
        `select count(*)::int as running from pg_stat_activity
         where application_name = 'holdfast' and state = 'active'`,
      );
      return row?.['running'] === 0;
    });
    const [{ cancels } = { cancels: 0 }] = database.getStats().hosts;
    // Otherwise no deadline raced an answer.
    expect(cancels).toBeGreaterThan(0);
    return { accepted: begun, delivered: answered, seed: SEED, note: `${cancels} cancelled` };
  },
);

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
}
