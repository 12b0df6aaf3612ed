import { createFileFence } from '@holdfast/database';

/** Stores timelines at the same time, as often as it is told to. */
process.on('message', async ({ path, timelines }: { path: string; timelines: number[] }) => {
  await Promise.all(timelines.map(async (timeline) => createFileFence(path).store(timeline)));
  process.send?.('stored');
});
process.send?.('ready');
