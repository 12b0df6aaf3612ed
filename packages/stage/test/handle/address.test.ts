import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { findService } from '../../src/runtime/compose/project.ts';
import type { ServerHandle } from '../../src/handle/handle.ts';
import type { StageMode } from '../../src/mode-name.ts';
import { openStage } from '../../src/stage.ts';
import { closeAfterTest } from '../close-after-test.ts';
import { engineHere, recreateContainer, removeContainer } from '../engine-session.ts';
import { UNHURRIED, redisValue } from '../servers/redis-contract.ts';

const variable = process.env['HOLDFAST_STAGE'];
const mode: StageMode = variable === 'docker' || variable === 'compose' ? variable : 'local';
/** Containers are slow: a few rounds of each, and more on request. */
const ROUNDS = Number(process.env['HOLDFAST_ADDRESS_ROUNDS'] ?? (mode === 'local' ? 21 : 9));
const POLL_MS = 5;
const ENDS_WITHIN_MS = 20_000;

/** Takes the server away by other means than its verbs: the process, or the container with it. */
const takeAway: Record<StageMode, (server: ServerHandle) => Promise<unknown>> = {
  local: (server) => redisValue(server, ['SHUTDOWN', 'NOSAVE']).catch(() => undefined),
  docker: ({ name }) =>
    removeContainer([`holdfast.runner=${process.pid}`, `holdfast.server=${name}`]),
  async compose({ name }) {
    const project = process.env['COMPOSE_PROJECT_NAME'];
    const limit = AbortSignal.timeout(ENDS_WITHIN_MS);
    const found = await findService(engineHere(), name, project, limit);
    if (found === undefined) throw new Error(`no container of ${name} is up`);
    await recreateContainer(found.container);
  },
};

test(`the address stays the same over ${ROUNDS} kills, restarts and recreations, in mode ${mode}`, async () => {
  const stage = closeAfterTest(await openStage({ mode, redis: true, ...UNHURRIED }));
  const { redis } = stage;
  const { url, host, port } = redis;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round % 3 === 0) await redis.kill();
    else if (round % 3 === 1) await redis.stop();
    else {
      await takeAway[mode](redis);
      const limit = AbortSignal.timeout(ENDS_WITHIN_MS);
      while (redis.state !== 'stopped') await sleep(systemClock, POLL_MS, limit);
    }
    await redis.start();
    expect([redis.url, redis.host, redis.port]).toEqual([url, host, port]);
    expect(await redisValue({ host, port }, ['PING'])).toBe('PONG');
  }
}, 900_000);
