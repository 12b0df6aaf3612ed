import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import {
  type AlertReceiver,
  type ReceiverMood,
  openAlertReceiver,
} from '../../src/operations/alert-receiver.ts';
import type { AlertingOptions, AlertingRequest } from '../../src/operations/alerting-main.ts';
import { waitUntil } from '../../src/wait-until.ts';

const main = join(import.meta.dirname, '../../src/operations/alerting-main.ts');
const RESTARTS = Number(process.env['HOLDFAST_RUNS'] ?? 10);
const EVENTS = 100_000;
const ACK_TIMEOUT_MS = 1_500;
const moods: readonly ReceiverMood[] = ['accept', 'fail', 'hang', 'busy', 'lose-answer'];

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function openReceiver(mood: () => ReceiverMood): Promise<AlertReceiver> {
  const receiver = await openAlertReceiver(mood);
  closers.push(() => receiver.close());
  return receiver;
}

async function start(options: AlertingOptions): Promise<ChildProcess> {
  const child = fork(main, [JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  closers.push(() => kill(child));
  await Promise.race([once(child, 'message'), once(child, 'exit')]);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function ask(child: ChildProcess, request: AlertingRequest): Promise<void> {
  const answered = once(child, 'message');
  child.send(request);
  await answered;
}

/** What reached a person: each notification once, however often it came. */
function distinct(receiver: AlertReceiver): string[] {
  const kinds = new Map(receiver.taken.map(({ id, kind }) => [id, kind]));
  return [...kinds.values()];
}

test(`${EVENTS} events of one outage over ${RESTARTS} kills are one page, escalated after the acknowledgement is late, none lost or repeated`, async () => {
  const random = seededRandom(Number(process.env['HOLDFAST_SEED'] ?? 18));
  const directory = join(await mkdtemp(join(tmpdir(), 'holdfast-alerts-')), 'log');
  closers.push(() => rm(join(directory, '..'), { recursive: true, force: true }));
  let isWell = false;
  const mood = (): ReceiverMood =>
    isWell ? 'accept' : (moods[Math.floor(random() * moods.length)] ?? 'accept');
  const [pager, manager] = [await openReceiver(mood), await openReceiver(mood)];
  const options: AlertingOptions = {
    directory,
    pagerUrl: pager.url,
    managerUrl: manager.url,
    events: Math.ceil(EVENTS / RESTARTS),
    hosts: 500,
    ackTimeoutMs: ACK_TIMEOUT_MS,
  };
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const child = await start(options);
    // Anywhere between the wait for the group, the sends and the log of their ends.
    await sleep(systemClock, Math.floor(random() * 250));
    await kill(child);
  }
  isWell = true;
  const survivor = await start(options);
  await waitUntil(() => distinct(manager).length > 0 && distinct(pager).length > 0);
  expect(distinct(pager)).toEqual(['page']);
  expect(distinct(manager)).toEqual(['escalation']);
  const [page, escalation] = [pager.taken[0], manager.taken[0]];
  expect(escalation?.incident).toBe(page?.incident);
  expect((escalation?.atMs ?? 0) - (page?.atMs ?? 0)).toBeGreaterThanOrEqual(ACK_TIMEOUT_MS);
  expect(page?.firing).toBe(500);
  await ask(survivor, { acknowledge: page?.incident ?? '' });
  await ask(survivor, 'resolve');
  await waitUntil(
    () => distinct(manager).includes('resolved') && distinct(pager).includes('resolved'),
  );
  expect(distinct(pager)).toEqual(['page', 'resolved']);
  expect(distinct(manager)).toEqual(['escalation', 'resolved']);
}, 600_000);
