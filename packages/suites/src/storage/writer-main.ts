/** A writer in a process of its own, so that it can be killed: `node writer-main.ts <order as JSON>`. */
import { createStorage } from '@holdfast/storage';
import { type Addresses, backendsAt, tuning } from './storage-fixture.ts';

const order: { addresses: Addresses; directory: string } = JSON.parse(process.argv[2] ?? '');
const { backends, end } = backendsAt(order.addresses);
const storage = createStorage({
  ...tuning,
  backends,
  acknowledgeWithinMs: 0,
  journal: { directory: order.directory, minFreeBytes: 0 },
});
for (let write = 0; process.connected; write += 1) {
  await storage.upload(`k${write % 20}`, `${write} ${'x'.repeat(write % 100)}`);
  if (process.connected) process.send?.({ write });
}
await storage.close();
end();
