import { beforeEach, expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { AddressScores } from '../../src/addresses/address-scores.ts';
import { orderAddresses } from '../../src/dialing/address-order.ts';
import { type AttemptProgress, RaceLost, race } from '../../src/dialing/race.ts';
import type { IpAddress } from '../../src/network.ts';

/** An attempt of which the test decides how it ends. */
interface Controlled {
  readonly address: string;
  readonly progress: AttemptProgress;
  readonly succeed: () => void;
  readonly fail: (error: Error) => void;
}

let clock: FakeClock;
let attempts: Controlled[];
let failed: string[];
let controller: AbortController;
beforeEach(() => {
  clock = createFakeClock();
  attempts = [];
  failed = [];
  controller = new AbortController();
});

const ip = (address: string): IpAddress => ({ address, family: address.includes(':') ? 6 : 4 });

function start(addresses: readonly string[], isFinal = false): Promise<string> {
  return race<string>(addresses.map(ip), {
    clock,
    attemptDelayMs: 250,
    signal: controller.signal,
    attempt: ({ address }, progress) =>
      new Promise((resolve, reject) => {
        attempts.push({ address, progress, succeed: () => resolve(address), fail: reject });
        progress.signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
    isFinal: () => isFinal,
    failed: ({ address }) => void failed.push(address),
  });
}

const started = (): string[] => attempts.map(({ address }) => address);

test('the next address is tried 250 ms after the last one, and the first to connect wins', async () => {
  const winner = start(['a', 'b', 'c']);
  await clock.advance(249);
  expect(started()).toEqual(['a']);
  await clock.advance(1);
  expect(started()).toEqual(['a', 'b']);
  attempts[1]?.succeed();
  expect(await winner).toBe('b');
  expect(attempts[0]?.progress.signal.aborted).toBe(true);
  // It was given 250 ms: it comes last from now on. Nothing more is tried.
  expect(failed).toEqual(['a']);
  await clock.advance(10_000);
  expect(started()).toEqual(['a', 'b']);
});

test('a failure starts the next attempt at once', async () => {
  const winner = start(['a', 'b', 'c']);
  attempts[0]?.fail(new Error('refused'));
  await clock.advance(0);
  expect(started()).toEqual(['a', 'b']);
  attempts[1]?.succeed();
  expect(await winner).toBe('b');
  expect(failed).toEqual(['a']);
});

test('an attempt that had no time is not called failed', async () => {
  const winner = start(['a', 'b']);
  await clock.advance(250);
  await clock.advance(100);
  attempts[0]?.succeed();
  expect(await winner).toBe('a');
  expect(failed).toEqual([]);
});

test('a server that has accepted gets more time for its handshake before the next is tried', async () => {
  const winner = start(['a', 'b']);
  await clock.advance(200);
  attempts[0]?.progress.connected();
  await clock.advance(900);
  expect(started()).toEqual(['a']);
  await clock.advance(100);
  expect(started()).toEqual(['a', 'b']);
  attempts[1]?.succeed();
  expect(await winner).toBe('b');
});

test('when all have failed, all their errors are known', async () => {
  const lost = start(['a', 'b']).catch((error: unknown) => error);
  attempts[0]?.fail(new Error('one'));
  await clock.advance(0);
  attempts[1]?.fail(new Error('two'));
  const error = await lost;
  expect(error).toBeInstanceOf(RaceLost);
  expect(error).toMatchObject({
    attempts: [{ error: { message: 'one' } }, { error: { message: 'two' } }],
  });
});

test('a final error ends the race', async () => {
  const lost = start(['a', 'b'], true);
  attempts[0]?.fail(new Error('refused for good'));
  await expect(lost).rejects.toThrow('refused for good');
  expect(started()).toEqual(['a']);
});

test('an abort ends every attempt with the own reason of the caller, and leaves no timer', async () => {
  const lost = start(['a', 'b', 'c']);
  await clock.advance(250);
  controller.abort(new Error('enough'));
  await expect(lost).rejects.toThrow('enough');
  expect(attempts.every(({ progress }) => progress.signal.aborted)).toBe(true);
  await clock.advance(10_000);
  expect(started()).toEqual(['a', 'b']);
});

test('the families take turns, and addresses that failed come last for 30 s', async () => {
  const scores = new AddressScores(30_000, 1_000);
  const addresses = ['6::1', '6::2', '6::3', '4.1', '4.2'].map(ip);
  const order = (): string[] =>
    orderAddresses(addresses, scores, clock.now()).map(({ address }) => address);
  expect(order()).toEqual(['6::1', '4.1', '6::2', '4.2', '6::3']);
  scores.report('6::1', 'failed', clock.now());
  expect(order()).toEqual(['6::2', '4.1', '6::3', '4.2', '6::1']);
  await clock.advance(29_999);
  expect(order().at(-1)).toBe('6::1');
  await clock.advance(1);
  expect(order()[0]).toBe('6::1');
  scores.report('4.1', 'failed', clock.now());
  scores.report('4.1', 'reached', clock.now());
  expect(order()[1]).toBe('4.1');
});

test('the memory of failed addresses is bounded', () => {
  const scores = new AddressScores(30_000, 1_000);
  const address = (index: number): string => `10.0.${index >> 8}.${index & 255}`;
  for (let index = 0; index <= 1_000; index += 1) scores.report(address(index), 'failed', 0);
  expect(scores.failedUntilMs(address(0), 0)).toBeUndefined();
  expect(scores.failedUntilMs(address(1_000), 0)).toBe(30_000);
});
