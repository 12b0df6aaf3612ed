import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { assembleDatabase } from '../../src/assemble-database.ts';
import type { Connection } from '../../src/connection/connection.ts';
import type { QueryResult, Statement } from '../../src/database.ts';
import { parseDatabaseOptions } from '../../src/options.ts';
import type { PooledDatabase } from '../../src/pooled-database.ts';
import { ScriptedConnection, hostError } from '../pool/scripted-connection.ts';

/** What a host of the test is: it can change at any time. */
type Part = 'primary' | 'standby' | 'away';

function answered(rows: readonly unknown[]): PromiseFulfilledResult<QueryResult<never>>;
function answered(rows: readonly unknown[]): unknown {
  const value = { rows, rowCount: rows.length, command: 'SELECT', fields: [] };
  return { status: 'fulfilled', value };
}

/** Replies to a probe at once. */
class ProbeConnection extends ScriptedConnection {
  readonly part: () => Part;

  constructor(part: () => Part) {
    super();
    this.part = part;
  }

  override async pipeline(
    statements: readonly Statement[],
  ): Promise<PromiseSettledResult<QueryResult<never>>[]> {
    const isStandby = this.part() === 'standby';
    const role = { standby: isStandby, read_only: isStandby ? 'on' : 'off' };
    const position = { lsn: '0/1', timeline: '00000001' };
    return statements.map(({ text }, at) => {
      const isMine = text.includes('where not pg_is_in_recovery') !== isStandby;
      return answered(at === 0 ? [role] : isMine ? [position] : []);
    });
  }
}

interface Bench {
  readonly db: PooledDatabase;
  readonly clock: FakeClock;
  readonly parts: Part[];
  /** When each host was probed. */
  readonly probes: number[][];
}

/** A database whose hosts are probed by script on a fake clock. */
function open(parts: Part[]): Bench {
  const clock = createFakeClock();
  const probes: number[][] = parts.map(() => []);
  const hosts = parts.map((_, at) => `postgres://u@h${at}:5432/d`);
  const options = parseDatabaseOptions({ hosts, clock, probeIntervalMs: 1_000 });
  const { database } = assembleDatabase(options, ({ host }) => async (): Promise<Connection> => {
    const at = Number(host.slice(1));
    const part = (): Part => parts[at] ?? 'away';
    if (part() === 'away') {
      probes[at]?.push(clock.now());
      throw hostError('ECONNREFUSED');
    }
    const connection = new ProbeConnection(part);
    const pipeline = connection.pipeline.bind(connection);
    connection.pipeline = async (statements) => {
      probes[at]?.push(clock.now());
      if (part() === 'away') connection.lose(hostError('ECONNRESET'));
      return pipeline(statements);
    };
    return connection;
  });
  return { db: database, clock, parts, probes };
}

/** How often each host was probed in that time. */
async function countIn({ clock, probes }: Bench, ms: number): Promise<number[]> {
  const before = probes.map(({ length }) => length);
  for (let passed = 0; passed < ms; passed += 10) await clock.advance(10);
  return probes.map(({ length }, at) => length - (before[at] ?? 0));
}

test('while the primary is known each host is probed once in probeIntervalMs', async () => {
  const bench = open(['primary', 'standby', 'away']);
  bench.db.health();
  await bench.clock.advance(10);
  expect(bench.db.health().primary).toBe('h0:5432');
  expect(await countIn(bench, 10_000)).toEqual([10, 10, 10]);
  await bench.db.close();
});

test('while it is not, hosts that respond are probed every 50 ms, and others every 200 ms', async () => {
  const bench = open(['standby', 'standby', 'away']);
  bench.db.health();
  await bench.clock.advance(10);
  expect(await countIn(bench, 2_000)).toEqual([40, 40, 10]);
  // A promotion is seen within one of these intervals, and the probes are rare again.
  bench.parts[1] = 'primary';
  await bench.clock.advance(50);
  expect(bench.db.health().primary).toBe('h1:5432');
  await bench.clock.advance(200);
  expect(await countIn(bench, 10_000)).toEqual([10, 10, 10]);
  await bench.db.close();
});

test('a single host is probed once in probeIntervalMs, and only once its health was asked', async () => {
  const bench = open(['primary']);
  expect(await countIn(bench, 5_000)).toEqual([0]);
  bench.db.health();
  await bench.clock.advance(10);
  expect(await countIn(bench, 10_000)).toEqual([10]);
  await bench.db.close();
  expect(await countIn(bench, 5_000)).toEqual([0]);
});
