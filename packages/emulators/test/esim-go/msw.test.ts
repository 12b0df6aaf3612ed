import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { setupServer } from 'msw/node';
import { type EsimGoMsw, createEsimGoMsw } from '../../src/esim-go/intercept/msw.ts';
import { readRecordings } from './fixtures.ts';
import { clients, connectionFailed, replay } from './replay.ts';

async function intercepting(api: EsimGoMsw, work: () => Promise<void>): Promise<void> {
  const server = setupServer(...api.handlers);
  server.listen({ onUnhandledFrame: 'error' });
  try {
    await work();
  } finally {
    server.close();
  }
}

test.each(readRecordings())('handlers of msw respond with %s', async (_, recording) => {
  for (const client of clients) {
    const api = createEsimGoMsw({ ...recording.options, clock: createFakeClock() });
    await intercepting(api, () => replay(recording, api.baseUrl, api.apiKey, client));
    expect(api.requests().length).toBe(recording.exchanges.length);
  }
});

test('faults are changed between requests, and a body that is cut is no body', async () => {
  const api = createEsimGoMsw({ baseUrl: 'http://esim.test/v2.5', rateLimit: false });
  await intercepting(api, async () => {
    const headers = { 'x-api-key': api.apiKey };
    const url = `${api.baseUrl}/catalogue`;
    api.setFaults([{ times: 1, fault: { kind: 'reset', when: 'during' } }]);
    await expect(fetch(url, { headers }).then((response) => response.text())).rejects.toThrow(
      connectionFailed,
    );
    expect((await fetch(url, { headers })).status).toBe(200);
    api.change({ envelope: 'array' });
    expect(await (await fetch(`${url}?perPage=1`, { headers })).json()).toHaveLength(1);
    const head = await fetch(url, { headers, method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });
});

test.each(['ftp://esim.test', 'esim.test', 7])('%s is no base URL for msw', (baseUrl) => {
  const options: object = { baseUrl };
  expect(() => createEsimGoMsw(options)).toThrow(/baseUrl must be a URL of http or https/);
});
