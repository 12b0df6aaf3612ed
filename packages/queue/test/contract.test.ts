import { describe } from '@jest/globals';
import { honoursBackendContract, honoursQueueContract } from '@holdfast/queue/contract';
import { systemClock } from '@holdfast/resilience';
import { FakeBackend } from './fake-backend.ts';
import { openTestQueue } from './open-queue.ts';

describe('the fake backend', () => {
  honoursBackendContract(async () => {
    const backend = new FakeBackend();
    backend.up();
    return { backend, close: () => backend.close() };
  });
});

describe('the queue on the fake backend', () => {
  honoursQueueContract(async () => {
    const { queue, backend } = openTestQueue({ clock: systemClock });
    backend.up();
    return { queue, close: () => queue.close() };
  });
});
