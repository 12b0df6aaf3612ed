import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createEsimGoServer } from '../../src/esim-go.ts';
import { readRecordings, recordAgain } from './fixtures.ts';
import { clients, replay } from './replay.ts';

const recordings = readRecordings();

test.each(recordings)('%s is what the emulator responds now', (_, recording) => {
  expect(recordAgain(recording)).toEqual(recording);
});

test.each(recordings)('the server sends %s to two HTTP clients', async (_, recording) => {
  for (const client of clients) {
    const server = await createEsimGoServer({ ...recording.options, clock: createFakeClock() });
    try {
      await replay(recording, server.baseUrl, server.apiKey, client);
      expect(server.requests().length).toBe(recording.exchanges.length);
    } finally {
      await server.close();
    }
  }
});
