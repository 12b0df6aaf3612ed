/** Checks what this machine supports with its programs, then tries it; prints the results of both. */
import { checkHostFault } from '@holdfast/faults';
import { locateGit } from '../../src/servers/emulated/locate-git.ts';
import { checkAddressSpace, createLocalMemory } from '../../src/runtime/local/memory.ts';
import { checkNetworkNamespace } from '../../src/runtime/local/network-namespace.ts';
import { checkImpairment } from '../../src/limits/netem.ts';
import { openStage } from '../../src/stage.ts';
import type { Availability } from '../../src/system/availability.ts';

/** What was planned, and its outcome: `done`, or the error. */
export interface Attempt {
  readonly attempt: string;
  /** `tried` when there is no check beforehand. */
  readonly planned: string;
  readonly outcome: string;
  readonly code?: unknown;
}

const local = { mode: 'local', upstream: true } as const;
const textOf = (support: Availability): string =>
  support.available ? 'done' : `${support.reason}. ${support.remedy}`;

async function attempt(name: string, planned: string, work: () => Promise<void>): Promise<Attempt> {
  try {
    await work();
    return { attempt: name, planned, outcome: 'done' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return { attempt: name, planned, outcome: String(error), code };
  }
}

const network = await checkNetworkNamespace();
const packets = await checkImpairment();
const clock = await checkHostFault('clock');
const space = await checkAddressSpace();
const git = await locateGit(process.env).then(() => 'done', String);
const { signal } = new AbortController();

process.stdout.write(
  JSON.stringify([
    await attempt('a server', 'done', async () => {
      const stage = await openStage(local);
      try {
        await stage.upstream.kill();
        await stage.upstream.start();
      } finally {
        await stage.close();
      }
    }),
    await attempt('a network', textOf(network), async () => {
      const stage = await openStage({ ...local, serverNetworks: true });
      try {
        const fault = await stage.upstream.disconnect();
        await fault.undo();
      } finally {
        await stage.close();
      }
    }),
    await attempt('packets', textOf(network.available ? packets : network), async () => {
      const stage = await openStage({ ...local, serverNetworks: true });
      try {
        const fault = await stage.upstream.impair({ delayMs: 1 });
        await fault.undo();
      } finally {
        await stage.close();
      }
    }),
    await attempt('a clock', clock.available ? 'done' : clock.reason, async () => {
      const stage = await openStage({ ...local, serverClocks: true });
      try {
        await stage.upstream.clock.step(1_000);
      } finally {
        await stage.close();
      }
    }),
    await attempt('a disk', 'tried', async () => {
      const stage = await openStage({ ...local, diskMaxBytes: 1_048_576 });
      try {
        const fault = await stage.upstream.fill('disk');
        await fault.undo();
      } finally {
        await stage.close();
      }
    }),
    await attempt('an address space', space.available ? 'done' : space.reason, async () => {
      const watchdog = {
        guard: () => () => undefined,
        ready: () => undefined,
        close: () => Promise.resolve(),
      };
      const noGroup = (): Promise<undefined> => Promise.resolve(undefined);
      const memory = createLocalMemory('this process', 'none', watchdog, noGroup);
      await memory.launched(process.pid);
      await memory.limit(4_294_967_296, signal);
      await memory.limit(undefined, signal);
    }),
    await attempt('git', git, async () => {
      const stage = await openStage({ mode: 'local', git: true });
      try {
        await stage.git.createRepository('site');
      } finally {
        await stage.close();
      }
    }),
    await attempt('a Redis', 'tried', async () => {
      const stage = await openStage({ mode: 'local', redis: true });
      try {
        await stage.redis.freeze();
      } finally {
        await stage.close();
      }
    }),
  ]),
);
