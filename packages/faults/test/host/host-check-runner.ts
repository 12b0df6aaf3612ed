/** Checks every host fault and then tries it, as the current user; prints the expectation and the outcome. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type HostFaultKind,
  createFaultProxy,
  limitDescriptors,
  openSandbox,
  checkHostFault,
  prepareClock,
} from '@holdfast/faults';

/** The attempts: each fault, and two at once. */
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

/** What was expected and the outcome: `done`, or the message and the code of the error. */
export interface AttemptReport {
  readonly attempt: Attempt;
  readonly expected: string;
  readonly outcome: string;
  readonly code?: unknown;
  readonly user: number | undefined;
}

async function expectedOf(kinds: readonly HostFaultKind[]): Promise<string> {
  for (const kind of kinds) {
    const availability = await checkHostFault(kind);
    if (!availability.available) return `${availability.reason}; ${availability.remedy}`;
  }
  return 'done';
}

async function report(attempt: Attempt, kinds: readonly HostFaultKind[]): Promise<AttemptReport> {
  const common = { attempt, expected: await expectedOf(kinds), user: process.getuid?.() };
  try {
    await attempts[attempt]();
    return { ...common, outcome: 'done' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return { ...common, outcome: String(error), code };
  }
}

process.stdout.write(
  JSON.stringify([
    await report('connectHang', ['connectHang']),
    await report('partition', ['partition']),
    await report('partition beside a disk', ['fullDisk', 'partition']),
    await report('fullDisk', ['fullDisk']),
    await report('descriptors', ['descriptors']),
    await report('clock', ['clock']),
  ]),
);
