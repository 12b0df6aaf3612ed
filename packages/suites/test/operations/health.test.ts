import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect } from '@jest/globals';
import { createDatabase } from '@holdfast/database';
import { systemClock } from '@holdfast/foundation';
import { checkOf, createHealth, serveHealth } from '@holdfast/operations';
import { createQueueAdapter } from '@holdfast/queue';
import { openStage } from '@holdfast/stage';
import { watchPace } from '../../src/host-pace.ts';
import type { BlockRequest, BlockedReply } from '../../src/operations/blocked-main.ts';
import { scenario } from '../../src/operations/scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** 30 in the full run. */
const BLOCK_MS = Number(process.env['HOLDFAST_BLOCK_S'] ?? 3) * 1_000;
const PROBE_P99_MS = 50;
const INTERVAL_MS = 500;

interface Probed {
  readonly statusCode: number;
  readonly body: string;
  readonly tookMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

async function probe(port: number, path: string): Promise<Probed> {
  const beganMs = systemClock.now();
  const request = get({ port, host: '127.0.0.1', path, agent });
  const [response] = await once(request, 'response');
  const body = await text(response);
  return { statusCode: response.statusCode, body, tookMs: systemClock.now() - beganMs };
}

class Service {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(): Promise<Service> {
    const main = join(import.meta.dirname, '../../src/operations/blocked-main.ts');
    const child = fork(main, [], { execArgv: [], stdio: 'inherit' });
    const reply = await replyOf(child);
    if (reply.kind !== 'listening') throw new Error('the service did not listen first');
    return new Service(child, reply.port);
  }

  /** Resolves with what the service says of the stall once it is over. */
  async block(request: BlockRequest): Promise<{ stalledMs: number; stack: readonly string[] }> {
    const stall = this.#stallOf(request.forMs / 2);
    this.#child.send(request);
    return stall;
  }

  /** On a busy machine the service may have stalled before, for less. */
  async #stallOf(leastMs: number): Promise<{ stalledMs: number; stack: readonly string[] }> {
    while (true) {
      const reply = await replyOf(this.#child);
      if (reply.kind === 'stalled' && reply.stalledMs >= leastMs) return reply;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

async function replyOf(child: ChildProcess): Promise<BlockedReply> {
  const [message] = await once(child, 'message');
  return message;
}

/** Probes one after the other until the promise settles. */
async function probesUntil(port: number, end: Promise<unknown>, path: string): Promise<Probed[]> {
  const probes: Probed[] = [];
  const progress = { isOver: false };
  void end.finally(() => (progress.isOver = true));
  while (!progress.isOver) probes.push(await probe(port, path));
  return probes;
}

const atQuantile = (values: readonly number[], share: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? NaN;

describe('a blocked main thread', () => {
  scenario(
    {
      promise: 'probes are answered while the main thread computes, and tell where it is',
      fault: `a loop of ${BLOCK_MS} ms in the main thread`,
    },
    async (use) => {
      const service = use(await Service.start());
      const pace = watchPace();
      const stall = service.block({ kind: 'compute', forMs: BLOCK_MS });
      const probes = await probesUntil(service.port, stall, '/readyz');
      const { stack, stalledMs } = await stall;
      const slowness = pace.stop();
      const p99Ms = atQuantile(
        probes.map(({ tookMs }) => tookMs),
        0.99,
      );
      expect(p99Ms).toBeLessThan(PROBE_P99_MS * slowness);
      const during = probes.filter(({ statusCode }) => statusCode === 503);
      expect(during.length).toBeGreaterThan(10);
      expect(during.at(-1)?.body).toContain('sortTheWholeCatalog (blocked-main.ts:');
      expect(stack.join('\n')).toContain('sortTheWholeCatalog');
      expect(stalledMs).toBeGreaterThan(BLOCK_MS / 2);
      // It is over: the next beat brings the usual answer back.
      await waitUntil(async () => (await probe(service.port, '/readyz')).statusCode === 200);
      return {
        note: `${probes.length} probes in ${BLOCK_MS} ms, 99 % within ${p99Ms.toFixed(1)} ms; the machine was ${slowness.toFixed(1)} times as slow as an idle one`,
      };
    },
  );

  scenario(
    {
      promise:
        'a main thread in native code is told as such, and liveness fails only after deadAfterMs',
      fault: 'execFileSync of a program that sleeps for 3 s',
    },
    async (use) => {
      const service = use(await Service.start());
      const stall = service.block({ kind: 'wait', forMs: 3_000 });
      const probes = await probesUntil(service.port, stall, '/livez');
      const { stack } = await stall;
      const codes = probes.map(({ statusCode }) => statusCode);
      expect(codes[0]).toBe(200);
      expect(codes).toContain(503);
      const firstDead = codes.indexOf(503);
      expect(probes.slice(0, firstDead).some(({ body }) => body.includes('not turned'))).toBe(true);
      expect(stack.join()).toContain('native code');
      return {};
    },
  );
});

describe('real servers', () => {
  scenario(
    {
      promise:
        'a thousand parallel probes cost at most one check per interval, also while it hangs',
      fault: 'Postgres frozen',
    },
    async (use) => {
      const stage = use(await openStage({ postgres: true }));
      const database = use(createDatabase({ hosts: [stage.postgres.primary.url], max: 2 }));
      let checks = 0;
      const health = use(
        createHealth({
          intervalMs: INTERVAL_MS,
          timeoutMs: 400,
          jitter: 0,
          components: {
            postgres: {
              group: 'databases',
              check: async (signal) => {
                checks += 1;
                await database.query('select 1', [], { signal });
              },
            },
          },
        }),
      );
      await waitUntil(() => health.isReady);
      const server = use(await serveHealth(health, { port: 0, host: '127.0.0.1' }));
      const storm = async (): Promise<void> => {
        const before = checks;
        const beganMs = systemClock.now();
        await Promise.all(Array.from({ length: 1_000 }, () => probe(server.port, '/readyz')));
        const intervals = (systemClock.now() - beganMs) / INTERVAL_MS;
        expect(checks - before).toBeLessThanOrEqual(Math.ceil(intervals) + 1);
      };
      await storm();
      await stage.postgres.primary.freeze();
      await waitUntil(() => !health.isReady);
      await storm();
      expect((await probe(server.port, '/livez')).statusCode).toBe(200);
      await waitUntil(async () => (await probe(server.port, '/readyz')).statusCode === 503);
      expect(health.getStats().hanging).toBeLessThanOrEqual(3);
      await stage.postgres.primary.thaw();
      await waitUntil(async () => (await probe(server.port, '/readyz')).statusCode === 200);
      return { note: `${checks} checks for 2,000 probes` };
    },
  );

  scenario(
    {
      promise: 'a queue whose Redis dies degrades the service and does not make it unready',
      fault: 'Redis killed, started again',
    },
    async (use) => {
      const stage = use(await openStage({ redis: true }));
      const queue = use(
        createQueueAdapter({
          redis: { url: stage.redis.url },
          fallback: 'memory',
        }),
      );
      const health = use(
        createHealth({
          intervalMs: INTERVAL_MS,
          components: { jobs: { group: 'queues', check: checkOf(queue) } },
        }),
      );
      await waitUntil(() => health.report().status === 'pass');
      await stage.redis.kill();
      await queue.enqueue('emails', { to: 'a@example.org' });
      await waitUntil(async () => (await health.checkQueues()).status === 'warn');
      expect(health.isReady).toBe(true);
      await stage.redis.start();
      await waitUntil(async () => (await health.checkQueues()).status === 'pass');
      return {};
    },
  );
});
