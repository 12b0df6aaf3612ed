import { once } from 'node:events';
import { type Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { propertyOf, sleep, systemClock } from '@holdfast/foundation';

const RETRY_MS = 20;

/** What a client of the small service saw. */
export interface Seen {
  readonly status: number;
  readonly tries: number;
}

/** Calls as a client does that tries again after a refusal or a broken connection. */
export async function callUntilServed(port: number, agent: Agent): Promise<Seen> {
  const endsAtMs = systemClock.now() + 60_000;
  for (let tries = 1; ; tries += 1) {
    const status = await callOnce(port, agent);
    if (status === 200 || systemClock.now() > endsAtMs) return { status, tries };
    await sleep(systemClock, RETRY_MS);
  }
}

/** The status of one call, 0 when it got none. */
export async function callOnce(port: number, agent: Agent): Promise<number> {
  try {
    const request = get({ port, host: '127.0.0.1', agent });
    const [response] = await once(request, 'response');
    await text(response);
    return Number(propertyOf(response, 'statusCode'));
  } catch {
    return 0;
  }
}

/** Work of a task that takes so long without a processor. */
export async function workFor(ms: number): Promise<void> {
  await sleep(systemClock, ms);
}
