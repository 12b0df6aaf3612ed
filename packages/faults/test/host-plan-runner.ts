/** Plans every host fault and then tries it, as whoever it is run as; prints what came of both. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type HostFaultKind,
  createFaultProxy,
  limitDescriptors,
  openSandbox,
  planHostFault,
  prepareClock,
} from '@holdfast/faults';

/** What is tried: each fault, and two at once. */
export type Attempt = HostFaultKind | 'partition beside a disk';

const attempts: Readonly<Record<Attempt, () => Promise<void>>> = {
  async connectHang() {
    const proxy = await createFaultProxy({ target: { port: 9 } });
    try {
      await proxy.hangConnects();
      await proxy.heal();
    } finally {
      await proxy.close();
    }
  },
  async partition() {
    const sandbox = await openSandbox();
    try {
      const join = await sandbox.partition({ port: 7_000 });
      await join();
    } finally {
      await sandbox.close();
    }
  },
  async 'partition beside a disk'() {
    const sandbox = await openSandbox({ diskMaxBytes: 65_536 });
    try {
      const join = await sandbox.partition({ port: 7_000 });
      await join();
    } finally {
      await sandbox.close();
    }
  },
  async fullDisk() {
    const sandbox = await openSandbox({ diskMaxBytes: 65_536 });
    try {
      const undo = await sandbox.fillDisk();
      await undo();
    } finally {
      await sandbox.close();
    }
  },
  async descriptors() {
    const victim = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = once(victim, 'exit');
    try {
      const undo = await limitDescriptors({ pid: victim.pid ?? 0, maxOpen: 16 });
      await undo();
    } finally {
      victim.kill('SIGKILL');
      await ended;
    }
  },
  async clock() {
    const clock = await prepareClock();
    try {
      await clock.step(1_000);
    } finally {
      await clock.close();
    }
  },
};

/** What was planned, and what came of it: `done`, or the message and the code of the error. */
export interface Told {
  readonly attempt: Attempt;
  readonly planned: string;
  readonly came: string;
  readonly code?: unknown;
  readonly user: number | undefined;
}

async function planned(kinds: readonly HostFaultKind[]): Promise<string> {
  for (const kind of kinds) {
    const plan = await planHostFault(kind);
    if (!plan.available) return plan.reason;
  }
  return 'done';
}

async function tell(attempt: Attempt, kinds: readonly HostFaultKind[]): Promise<Told> {
  const told = { attempt, planned: await planned(kinds), user: process.getuid?.() };
  try {
    await attempts[attempt]();
    return { ...told, came: 'done' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return { ...told, came: String(error), code };
  }
}

process.stdout.write(
  JSON.stringify([
    await tell('connectHang', ['connectHang']),
    await tell('partition', ['partition']),
    await tell('partition beside a disk', ['fullDisk', 'partition']),
    await tell('fullDisk', ['fullDisk']),
    await tell('descriptors', ['descriptors']),
    await tell('clock', ['clock']),
  ]),
);
