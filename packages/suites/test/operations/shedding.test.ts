import { createServer } from 'node:http';
import { once } from 'node:events';
import { expect } from '@jest/globals';
import { Redis } from 'ioredis';
import { LoadShedError, type PriorityClass, createLoadShedder } from '@holdfast/operations';
import { openStage } from '@holdfast/stage';
import { scenario } from '../../src/operations/scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

const REQUESTS = 400;
const OK = 200;
const UNAVAILABLE = 503;

scenario(
  {
    promise:
      'a service whose Redis is frozen refuses background requests first and in time, and serves again after it',
    fault: 'Redis frozen under 400 requests of three classes',
  },
  async (use) => {
    const stage = use(await openStage({ redis: true }));
    const client = new Redis(stage.redis.url, { maxRetriesPerRequest: null });
    await waitUntil(() => client.status === 'ready');
    const shedder = use(createLoadShedder({ initialLimit: 16, maxLimit: 16, maxWaiting: 16 }));
    const server = createServer((request, response) => {
      const named = request.url?.slice(1);
      const priority: PriorityClass =
        named === 'critical' || named === 'background' ? named : 'normal';
      shedder
        .execute(() => client.incr('served'), { priority })
        .then(
          () => response.end(),
          (error: unknown) =>
            response.writeHead(error instanceof LoadShedError ? UNAVAILABLE : 500).end(),
        );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    const call = async (priority: PriorityClass): Promise<number> =>
      (await fetch(`http://127.0.0.1:${address.port}/${priority}`)).status;
    expect(await call('background')).toBe(OK);
    await stage.redis.freeze();
    const classes = ['background', 'background', 'normal', 'critical'] as const;
    const calls = Array.from({ length: REQUESTS }, async (_, index) => {
      const priority = classes[index % classes.length] ?? 'normal';
      return { priority, status: await call(priority) };
    });
    // Those that run wait for Redis; all others have been answered in time.
    await waitUntil(() => {
      const { running, waiting, shed } = shedder.getStats();
      return waiting === 0 && running + shed.background + shed.normal + shed.critical === REQUESTS;
    });
    const { shed, running } = shedder.getStats();
    expect(running).toBeLessThanOrEqual(16);
    expect(shed.background).toBeGreaterThan(shed.critical);
    await stage.redis.thaw();
    const answers = await Promise.all(calls);
    const served = answers.filter(({ status }) => status === OK);
    expect(served).toHaveLength(running);
    expect(answers.filter(({ status }) => status === UNAVAILABLE)).toHaveLength(REQUESTS - running);
    // What was refused was never started.
    expect(await client.get('served')).toBe(String(running + 1));
    expect(await call('background')).toBe(OK);
    server.closeAllConnections();
    server.close();
    client.disconnect();
    return { note: `${running} waited for Redis, ${REQUESTS - running} were refused unstarted` };
  },
);
