import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import { type ResilientFetch, createResilientFetch } from '@holdfast/network';
import { type Stage, type UpstreamWire, openStage } from '@holdfast/stage';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';

const FAMILY = 'network-failures';
const BODY = { text: 'an answer of a third party '.repeat(100) };

let stage: Stage<{ upstream: true; tls: { protocol: 'h2' } }>;
let resilientFetch: ResilientFetch;
const dialer = new TestDialer();
beforeAll(async () => {
  stage = await openStage({ upstream: true, tls: { protocol: 'h2' } });
  dialer.ca = stage.tls.ca;
  resilientFetch = createResilientFetch({
    dialer,
    allowH2: true,
    maxBodyBytes: 1_000_000,
    retry: { maxAttempts: 2, initialDelayMs: 1, maxDelayMs: 1 },
    circuitBreaker: { failureThreshold: 1_000 },
  });
});
afterAll(async () => {
  await resilientFetch.close();
  await stage.close();
});

/** One promise about an API of a third party, and a row of the report. */
function scenario(name: string, fault: string, run: () => Promise<void>): void {
  test(name, async () => {
    expect.hasAssertions();
    await stage.upstream.link.heal();
    await run();
    record({ family: FAMILY, scenario: name, fault, stage: stage.mode });
  });
}

const serve = (wire: UpstreamWire): Promise<void> =>
  stage.upstream.script([{ path: '/*', body: BODY, wire }]);

scenario('an answer of a third-party API in any encoding is whole', 'none', async () => {
  for (const framing of ['length', 'chunked', 'close'] as const) {
    for (const encodings of [['gzip'], ['deflate'], ['br'], ['zstd'], ['gzip', 'br']] as const) {
      await serve({ encodings, framing });
      const response = await resilientFetch(`${stage.upstream.url}/`);
      expect(await response.json()).toStrictEqual(BODY);
    }
  }
});

scenario(
  'a third-party API whose bodies end early or late is never taken for whole',
  'encoded bodies cut, empty or with trailing bytes under whole framing',
  async () => {
    for (const bodyFault of ['truncated', 'empty', 'trailing-bytes'] as const) {
      for (const encodings of [['gzip'], ['deflate'], ['br'], ['zstd']] as const) {
        await serve({ encodings, bodyFault });
        const response = await resilientFetch(`${stage.upstream.url}/`);
        await expect(response.text()).rejects.toMatchObject({ where: 'body' });
      }
    }
  },
);

scenario(
  'a bomb of a third-party API is stopped at the bound',
  '16 MiB of zeros in gzip, and in gzip in gzip',
  async () => {
    for (const encodings of [['gzip'], ['gzip', 'gzip']] as const) {
      await serve({ encodings, inflatedBytes: 16_777_216 });
      const response = await resilientFetch(`${stage.upstream.url}/`);
      await expect(response.text()).rejects.toMatchObject({ code: 'NETWORK_BODY_TOO_LARGE' });
    }
  },
);

scenario(
  'a third-party API that drips is given up at the deadline',
  'one byte each 50 ms, of the head and of the body',
  async () => {
    await serve({ dripHeadMs: 50 });
    const head = resilientFetch(`${stage.upstream.url}/`, { timeoutMs: 200 });
    await expect(head).rejects.toMatchObject({ code: 'NETWORK_FETCH_TIMEOUT', where: 'headers' });
    await serve({ dripBodyMs: 50 });
    const response = await resilientFetch(`${stage.upstream.url}/`, { timeoutMs: 500 });
    await expect(response.text()).rejects.toMatchObject({
      code: 'NETWORK_FETCH_TIMEOUT',
      where: 'body',
    });
  },
);

scenario(
  'a third-party API that closes kept connections as requests arrive gets each POST once, and answers each GET',
  'a reset for every request on a kept connection',
  async () => {
    await serve({ closesReused: true });
    await stage.upstream.forgetRequests();
    for (let call = 0; call < 10; call += 1) {
      expect((await resilientFetch(`${stage.upstream.url}/get`)).status).toBe(200);
    }
    for (let call = 0; call < 10; call += 1) {
      await resilientFetch(`${stage.upstream.url}/post/${call}`, { method: 'POST' }).catch(
        () => {},
      );
    }
    const requests = await stage.upstream.requests();
    const posts = requests.filter(({ method }) => method === 'POST').map(({ path }) => path);
    expect(new Set(posts).size).toBe(posts.length);
  },
);

scenario(
  'handles network partition: a call to a third-party API behind one ends at its deadline, and the next after it succeeds',
  'blackhole for the time of one call',
  async () => {
    await serve({});
    await (await resilientFetch(`${stage.upstream.url}/`)).text();
    stage.upstream.link.faults.set('blackhole');
    const call = resilientFetch(`${stage.upstream.url}/`, { timeoutMs: 200 });
    await expect(call).rejects.toMatchObject({ code: 'NETWORK_FETCH_TIMEOUT', outcome: 'unknown' });
    await stage.upstream.link.heal();
    expect((await resilientFetch(`${stage.upstream.url}/`)).status).toBe(200);
  },
);

scenario('an HTTP/2 server is called by many streams of one session', 'none', async () => {
  const before = resilientFetch.getStats().connectionsOpened;
  const calls = Array.from({ length: 30 }, (_, at) =>
    resilientFetch(`${stage.tls.url}/${at}`, { method: 'POST', body: `body ${at}` }),
  );
  for (const [at, response] of (await Promise.all(calls)).entries()) {
    expect(await response.json()).toMatchObject({ path: `/${at}`, body: `body ${at}` });
  }
  expect(resilientFetch.getStats().connectionsOpened - before).toBe(1);
});
