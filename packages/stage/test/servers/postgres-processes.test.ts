/* oxlint-disable jest/no-standalone-expect -- testUnless declares a test */
import { spawn } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { orphansOf, checkSegmentRemoval } from '../../src/system/shared-memory.ts';
import { listWorkingIn, readProcess } from '../../src/system/process-table.ts';
import { openStage } from '../../src/stage.ts';
import { holdingsOf, leftOf, postgresRows } from './postgres-session.ts';
import { UNHURRIED } from './redis-contract.ts';
import { obstacleOf, testUnless } from '../test-unless.ts';

test('a kill ends every process of a Postgres at once, and the next start recovers from the crash', async () => {
  const stage = await openStage({ mode: 'local', postgres: true });
  try {
    const { primary } = stage.postgres;
    await postgresRows(primary, 'create table kept (value int)');
    const asleep = postgresRows(primary, 'insert into kept values (1); select pg_sleep(60)');
    const { postmaster, others } = await holdingsOf(primary);
    expect(others.length).toBeGreaterThan(3);

    await Promise.all([expect(asleep).rejects.toBeDefined(), primary.kill()]);

    expect([postmaster, ...others].filter((pid) => readProcess(pid) !== undefined)).toEqual([]);
    await primary.start();
    expect(await primary.log()).toContain('was not properly shut down');
    // The statement was one transaction, and it was not finished.
    expect(await postgresRows(primary, 'select * from kept')).toEqual([]);
  } finally {
    await stage.close();
  }
});

test('a freeze suspends every process of a Postgres, sessions included', async () => {
  const stage = await openStage({ mode: 'local', postgres: true });
  try {
    const { primary } = stage.postgres;
    const asleep = postgresRows(primary, 'select pg_sleep(0.2)');
    const { postmaster, others } = await holdingsOf(primary);
    await primary.freeze();
    // A session that had just ended may still have been listed.
    const there = [postmaster, ...others].flatMap((pid) => readProcess(pid) ?? []);
    expect(there.length).toBeGreaterThan(3);
    expect(new Set(there.map(({ frozen }) => frozen))).toEqual(new Set([true]));
    await primary.thaw();
    expect(await asleep).toHaveLength(1);
  } finally {
    await stage.close();
  }
});

/** Keeps a processor busy, or a server with new sessions, until it is killed. */
const BUSY = 'for (;;);';
const CONNECTING = `
const { connect } = require('node:net');
const again = () => {
  const socket = connect(Number(process.argv[1]), '127.0.0.1', () => socket.destroy());
  socket.on('error', () => undefined).on('close', () => setImmediate(again));
};
for (let client = 0; client < 40; client += 1) again();
`;

test('a Postgres that is killed while clients connect and the machine is busy starts again, 20 times', async () => {
  const stage = await openStage({ mode: 'local', postgres: true, ...UNHURRIED });
  const { primary } = stage.postgres;
  const { folder } = await holdingsOf(primary);
  const programs = [...Array<string>(6).fill(BUSY), CONNECTING].map((program) =>
    spawn(process.execPath, ['-e', program, String(primary.direct.port)], { stdio: 'ignore' }),
  );
  try {
    const left: number[] = [];
    for (let run = 0; run < 20; run += 1) {
      await primary.kill();
      left.push(...listWorkingIn(folder));
      await primary.start();
    }
    expect(left).toEqual([]);
  } finally {
    for (const program of programs) program.kill('SIGKILL');
    await stage.close();
  }
}, 120_000);

const onSegments = testUnless(obstacleOf(await checkSegmentRemoval()));

for (const state of ['running', 'killed', 'frozen']) {
  onSegments(
    `close removes the folder and the shared memory of a Postgres that is ${state}`,
    async () => {
      const stage = await openStage({ mode: 'local', postgres: true });
      const holdings = await holdingsOf(stage.postgres.primary);
      expect(leftOf(holdings)).toHaveLength(2);
      if (state === 'killed') await stage.postgres.primary.kill();
      if (state === 'frozen') await stage.postgres.primary.freeze();
      await stage.close();
      expect(leftOf(holdings)).toEqual([]);
      expect(readProcess(holdings.postmaster)).toBeUndefined();
    },
  );
}

test('only a shared memory segment that the process has created and no process uses is an orphan', () => {
  const listed = [
    '       key      shmid perms                  size  cpid  lpid nattch   uid',
    '   2342957     229427   600                    56 11050 11050      0 65534',
    '   2342958     229428   600                    56 11050 11050      1 65534',
    '   2342959     229429   600                    56 11051 11050      0 65534',
    '',
  ].join('\n');
  expect(orphansOf('11050', listed)).toEqual(['229427']);
});
