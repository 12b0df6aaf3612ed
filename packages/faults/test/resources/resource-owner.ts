/** Takes resources of a victim and of a bystander, tells who they are, and waits to be killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import {
  createResourceFaults,
  limitDescriptors,
  openSandbox,
  prepareClock,
} from '@holdfast/faults';

const [, , state = '', directory = ''] = process.argv;
const bystander = Number(process.argv[4]);

if (state === 'limits') {
  await limitDescriptors({ pid: bystander, maxOpen: 40 });
  console.log('ready 0');
} else if (state === 'clock') {
  const clock = await prepareClock({ directory });
  await clock.step(3_600_000);
  const child = spawn('sleep', ['1000'], { env: { ...process.env, ...clock.environment } });
  console.log(`ready ${child.pid}`);
} else if (state === 'sandbox') {
  const sandbox = await openSandbox({ diskMaxBytes: 1_048_576 });
  const child = sandbox.spawn('sleep', ['1000']);
  console.log(`ready ${child.pid}`);
} else {
  const victim = createResourceFaults({ module: join(import.meta.dirname, 'resource-victim.ts') });
  await victim.faults.set('disk', { directory, bytes: 1_000_000, forMs: 60_000 });
  await victim.faults.set('memory', { bytes: 1_000_000, forMs: 60_000 });
  if (state === 'spinning') {
    victim.child.send('spin');
    await once(victim.child, 'message');
  }
  if (state === 'stopped') victim.child.kill('SIGSTOP');
  console.log(`ready ${victim.child.pid}`);
}
setInterval(() => {}, 1_000);
