import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import type { ServerInstance } from '../../src/handle/driver.ts';
import { launchProcess } from '../../src/runtime/local/process.ts';
import { listWorkingIn, readProcess } from '../../src/system/process-table.ts';

const POLL_MS = 1;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-process-test-'));
});
afterEach(async () => {
  for (const pid of listWorkingIn(folder)) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const limit = (): AbortSignal => AbortSignal.timeout(30_000);

/** Runs a script of the shell as a server. */
function launch(script: string): Promise<ServerInstance> {
  return launchProcess({
    executable: { file: '/bin/sh', env: {} },
    args: ['-c', script],
    directory: folder,
    log: join(folder, 'log'),
    stopSignal: 'SIGTERM',
    clock: systemClock,
    watchdog: {
      guard: () => () => undefined,
      ready: () => undefined,
      close: () => Promise.resolve(),
    },
    onPid: () => Promise.resolve(),
  });
}

async function until(holds: () => boolean): Promise<void> {
  const signal = limit();
  while (!holds()) await sleep(systemClock, POLL_MS, signal);
}

/** Starts processes without an end, up to a bound. */
const FORKING = 'i=0; while [ $i -lt 2000 ]; do sleep 1000 & i=$((i+1)); done; wait';

test('a kill ends what a server starts at that moment, 20 times', async () => {
  const left: number[] = [];
  for (let run = 0; run < 20; run += 1) {
    const server = await launch(FORKING);
    await until(() => listWorkingIn(folder).length > 10);
    await server.kill(limit());
    await server.ended;
    left.push(...listWorkingIn(folder));
  }
  expect(left).toEqual([]);
}, 60_000);

test('a freeze suspends what a server starts at that moment, and a thaw resumes it', async () => {
  const server = await launch(FORKING);
  await until(() => listWorkingIn(folder).length > 10);
  await server.freeze(limit());
  const frozen = listWorkingIn(folder);
  expect(frozen.filter((pid) => readProcess(pid)?.frozen !== true)).toEqual([]);
  await server.thaw(limit());
  // On a busy machine it may have started all of them before the freeze.
  await until(() => frozen.every((pid) => readProcess(pid)?.frozen !== true));
  await server.kill(limit());
  await server.ended;
  expect(listWorkingIn(folder)).toEqual([]);
}, 60_000);

/** Leaves a process in a session of its own, whose parent has ended. */
const LEAVING = '(setsid sleep 1000 & echo > started); ';

test.each([
  ['is killed', `${LEAVING} sleep 1000`, (server: ServerInstance) => server.kill(limit())],
  [
    'is stopped',
    `${LEAVING} exec sleep 1000`,
    (server: ServerInstance) => server.terminate(limit()),
  ],
  ['ends by itself', LEAVING, () => Promise.resolve()],
])('a process that left its server is gone once that %s', async (_, script, end) => {
  const server = await launch(script);
  await until(() => existsSync(join(folder, 'started')));
  await end(server);
  await server.ended;
  expect(listWorkingIn(folder)).toEqual([]);
});

test('a server that another program kills is ended with all that it has started', async () => {
  const server = await launch('echo $$ > pid; sleep 1000 & sleep 1000 & wait');
  await until(() => listWorkingIn(folder).length === 3);
  const [root = 0] = listWorkingIn(folder).toSorted((left, right) => left - right);
  process.kill(root, 'SIGKILL');
  expect(await server.ended).toBe('SIGKILL');
  expect(listWorkingIn(folder)).toEqual([]);
});
