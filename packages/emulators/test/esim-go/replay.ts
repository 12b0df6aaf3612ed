import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import { type RecordedResponse, type Recording, parseBody } from './fixtures.ts';

/** Asks by a client of its own. Rejects when there is no response until the signal aborts. */
type Ask = (url: string, key: string, signal: AbortSignal) => Promise<RecordedResponse>;

/** In the words of each client. */
export const connectionFailed: RegExp =
  /fetch failed|terminated|abort|timeout|hang up|ECONNRESET|network error/i;
/** Long enough for any response of this process, and for one that never comes. */
const [PATIENCE_MS, SILENCE_MS] = [30_000, 100];

const byFetch: Ask = async (url, key, signal) => {
  const response = await fetch(url, { headers: { 'x-api-key': key }, signal });
  const body = parseBody(await response.text());
  return { status: response.status, headers: Object.fromEntries(response.headers), body };
};

const byNodeHttp: Ask = async (url, key, signal) => {
  const { request } = url.startsWith('https:') ? https : http;
  const sent = request(url, { headers: { 'x-api-key': key }, signal, agent: false }).end();
  const [response]: http.IncomingMessage[] = await once(sent, 'response');
  if (response === undefined) throw new TypeError('no response');
  const body = parseBody(await text(response));
  const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body };
};

/** Sends the requests of a recording, and compares what is received. */
export async function replay(
  { exchanges }: Recording,
  baseUrl: string,
  validKey: string,
  ask: Ask,
): Promise<void> {
  expect(exchanges.length).toBeGreaterThan(0);
  for (const { path, apiKey = validKey, response } of exchanges) {
    const signal = AbortSignal.timeout(response === null ? SILENCE_MS : PATIENCE_MS);
    const asked = ask(new URL(path, baseUrl).href, apiKey, signal);
    if (response === null) {
      await expect(asked).rejects.toThrow(connectionFailed);
      continue;
    }
    const { status, headers, body } = await asked;
    expect({ status, body }).toEqual({ status: response.status, body: response.body });
    const named = Object.entries(response.headers).map(([name, value]) => [
      name.toLowerCase(),
      value,
    ]);
    expect(headers).toMatchObject(Object.fromEntries(named));
  }
}

/** HTTP clients with nothing in common. */
export const clients: readonly Ask[] = [byFetch, byNodeHttp];
