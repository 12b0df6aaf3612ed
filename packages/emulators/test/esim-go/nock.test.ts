import { afterAll, afterEach, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import nock from 'nock';
import { createEsimGoNock } from '../../src/esim-go/intercept/nock.ts';
import { readRecordings } from './fixtures.ts';
import { clients, connectionFailed, replay } from './replay.ts';

afterEach(() => nock.cleanAll());
afterAll(() => nock.restore());

test.each(readRecordings())('a scope of nock responds with %s', async (_, recording) => {
  for (const client of clients) {
    const api = createEsimGoNock({ ...recording.options, clock: createFakeClock() });
    await replay(recording, api.baseUrl, api.apiKey, client);
    expect(api.requests().length).toBe(recording.exchanges.length);
    nock.cleanAll();
  }
});

test('faults are changed between requests, and a body that is cut is no body', async () => {
  const api = createEsimGoNock({ baseUrl: 'http://esim.test/v2.5', rateLimit: false });
  const headers = { 'x-api-key': api.apiKey };
  const url = `${api.baseUrl}/catalogue`;
  api.setFaults([{ times: 1, fault: { kind: 'reset', when: 'during' } }]);
  await expect(fetch(url, { headers }).then((response) => response.text())).rejects.toThrow(
    connectionFailed,
  );
  expect((await fetch(url, { headers })).status).toBe(200);
  api.change({ envelope: 'array' });
  expect(await (await fetch(`${url}?perPage=1`, { headers })).json()).toHaveLength(1);
  expect(api.scope.isDone()).toBe(true);
});

test.each(['ftp://esim.test', 'esim.test', 7])('%s is no base URL for nock', (baseUrl) => {
  const options: object = { baseUrl };
  expect(() => createEsimGoNock(options)).toThrow(/baseUrl must be a URL of http or https/);
});
