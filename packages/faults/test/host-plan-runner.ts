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

const attempts: Readonly<Record<HostFaultKind, () => Promise<void>>> = {
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

const told: Record<string, { planned: string; came: string; user: number | undefined }> = {};
for (const kind of ['connectHang', 'partition', 'fullDisk', 'descriptors', 'clock'] as const) {
  const plan = await planHostFault(kind);
  const came = await attempts[kind]().then(
    () => 'done',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  told[kind] = { planned: plan.available ? 'done' : plan.reason, came, user: process.getuid?.() };
}
process.stdout.write(JSON.stringify(told));
