/** A writer in a child process, so that it can be killed: `node writer-main.ts <options as JSON>`. */
import { createStorage } from '@holdfast/storage';
import { type Addresses, backendsAt, tuning } from './storage-fixture.ts';

const options: { addresses: Addresses; directory: string } = JSON.parse(process.argv[2] ?? '');
const { backends, end } = backendsAt(options.addresses);
const storage = createStorage({
  ...tuning,
  backends,
  acknowledgeWithinMs: 0,
  journal: { directory: options.directory, minFreeBytes: 0 },
});
for (let write = 0; process.connected; write += 1) {
  await storage.upload(`k${write % 20}`, `${write} ${'x'.repeat(write % 100)}`);
  if (process.connected) process.send?.({ write });
}
await storage.close();
end();
