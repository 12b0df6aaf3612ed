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
    await using proxy = await createFaultProxy({ target: { port: 9 } });
    await proxy.hangConnects();
    await proxy.heal();
  },
  async partition() {
    await using sandbox = await openSandbox();
    const join = await sandbox.partition({ port: 7_000 });
    await join();
  },
  async fullDisk() {
    await using sandbox = await openSandbox({ diskMaxBytes: 65_536 });
    const undo = await sandbox.fillDisk();
    await undo();
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
    await using clock = await prepareClock();
    await clock.step(1_000);
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
