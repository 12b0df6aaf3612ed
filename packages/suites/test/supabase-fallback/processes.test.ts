import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { createFaultProxy } from '@holdfast/faults';
import { type Clock, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { supabaseBackend } from '@holdfast/storage';
import type { ScenarioOutcome } from '../../src/scenario.ts';
import { BUCKET, type StorageFixture } from '../../src/storage/storage-fixture.ts';
import { ObjectLedger, compareBackends } from '../../src/storage/object-ledger.ts';
import { offerObjects, runObjectOutage, timesOf } from '../../src/storage/outage.ts';
import { scenario } from '../../src/storage/scenario.ts';
import { writeUntilKilled } from '../../src/storage/writer.ts';

const FAMILY = 'supabase-fallback';
const POLL_MS = 20;
/** The long outage lasts a minute with the flag, a few seconds without. */
const OUTAGE_MS = Number(process.env['HOLDFAST_OUTAGE_MS'] ?? 5_000);

scenario(
  FAMILY,
  {
    promise:
      'a process killed with a full journal loses no write, and the next process delivers them',
    fault: 'Supabase down, SIGKILL after 300 writes, then a restart',
    // The next process waits until no write of the killed one can arrive any more, 1.5 s here.
    recoveryMs: 2_000,
  },
  async (fixture) => {
    fixture.supabase.wire.faults.set('down');
    const directory = await fixture.directory();
    const ledger = new ObjectLedger();
    await writeUntilKilled({ addresses: fixture.addresses, directory }, ledger, 300);
    const storage = await fixture.storage({ directory });
    await storage.ready();
    expect(storage.pending().length).toBeGreaterThan(0);
    await fixture.supabase.wire.heal();
    const recoveredAtMs = systemClock.now();
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    return {
      verdict: await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]),
      recoveredAfterMs: systemClock.now() - recoveredAtMs,
    };
  },
);

for (const plan of [
  {
    promise:
      'of two writers of one key the later write wins, and the bytes of the other are kept beside it',
    serversAheadMs: 0,
  },
  {
    promise: 'the later of two writes wins also on servers whose clocks are an hour ahead',
    serversAheadMs: 3_600_000,
  },
  {
    promise: 'the later of two writes wins also on servers whose clocks are an hour behind',
    serversAheadMs: -3_600_000,
  },
]) {
  const fault = 'one writes during an outage, the other directly to the server';
  scenario(FAMILY, { ...plan, fault }, twoWriters);
}

/** Our write is accepted first and delivered last; the other writer's reaches the server in between. */
async function twoWriters(fixture: StorageFixture): Promise<ScenarioOutcome> {
  const { host, port, serviceRoleKey: key } = fixture.supabase.server;
  const wire = await createFaultProxy({ target: { host, port } });
  const url = `http://${wire.host}:${wire.port}`;
  const cutOff = await fixture.storage({
    backends: [supabaseBackend({ url, key, bucket: BUCKET })],
    acknowledgeWithinMs: 0,
    freshMs: 0,
  });
  const other = await fixture.storage({ acknowledgeWithinMs: 30_000 });
  wire.faults.set('down');
  const { operationId } = await cutOff.upload('shared', 'written first, delivered last');
  // Later by the clock that decides between both.
  const acceptedMs = systemClock.epochMs();
  while (systemClock.epochMs() - acceptedMs < 20) await sleep(systemClock, POLL_MS);
  const ledger = new ObjectLedger();
  const accepted = ledger.offered('shared', 'written last');
  await other.upload('shared', 'written last');
  accepted();
  ledger.offered(`.conflicts/shared.${operationId}`, 'written first, delivered last')();
  await wire.heal();
  await Promise.all([cutOff.flush({ deadlineMs: 60_000 }), other.flush({ deadlineMs: 60_000 })]);
  expect(cutOff.getStats().conflicts).toBe(1);
  await cutOff.close();
  await wire.close();
  return { verdict: await ledger.verdict(fixture.supabase.direct) };
}

scenario(
  FAMILY,
  {
    promise: 'a full journal rejects writes with a typed error, and delivers every accepted write',
    fault: 'Supabase down, journal of 4 KB',
  },
  async (fixture) => {
    const directory = await fixture.directory();
    const storage = await fixture.storage({
      acknowledgeWithinMs: 0,
      journal: { directory, maxBytes: 4_096 },
    });
    await storage.ready();
    fixture.supabase.wire.faults.set('down');
    const ledger = new ObjectLedger();
    const refusals: unknown[] = [];
    for (let write = 0; write < 60; write += 1) {
      const text = `${write} ${'x'.repeat(200)}`;
      const accepted = ledger.offered(`k${write}`, text);
      await storage
        .upload(`k${write}`, text)
        .then(accepted, (error: unknown) => refusals.push(error));
    }
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'STORAGE_FULL' });
    await fixture.supabase.wire.heal();
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    return { verdict: await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]) };
  },
);

scenario(
  FAMILY,
  {
    promise: 'a step of the wall clock changes no order and loses no write',
    fault: 'the clock steps an hour back and two forward during an outage of 1 s',
  },
  async (fixture) => {
    let offsetMs = 0;
    const clock: Clock = { ...systemClock, epochMs: () => systemClock.epochMs() + offsetMs };
    return runObjectOutage(fixture, {
      inject: ({ supabase }) => {
        supabase.wire.faults.set('down');
        offsetMs = -3_600_000;
      },
      lastsMs: 1_000,
      recover: async ({ supabase }) => {
        offsetMs = 7_200_000;
        await supabase.wire.heal();
      },
      notices: 'supabase',
      storage: { clock },
    });
  },
);

scenario(
  FAMILY,
  {
    promise: 'in a long outage under load every write is accepted without waiting for the server',
    fault: 'Supabase refuses connections for 5 s (a minute by HOLDFAST_OUTAGE_MS)',
  },
  async (fixture) => {
    const storage = await fixture.storage();
    await storage.ready();
    const ledger = new ObjectLedger();
    fixture.supabase.wire.faults.set('down');
    const load = offerObjects(storage, ledger, seededRandom(11));
    await load.offered(20);
    const faultAtMs = systemClock.now();
    // The cost of writing and syncing a file meanwhile, on the same disk of the same busy machine.
    const file = await open(join(await fixture.directory(), 'beside'), 'w');
    const besideMs: number[] = [];
    while (systemClock.now() - faultAtMs < OUTAGE_MS) {
      await load.offered(1);
      const startedMs = systemClock.now();
      await file.write('x'.repeat(250), 0);
      await file.datasync();
      besideMs.push(systemClock.now() - startedMs);
    }
    await file.close();
    const beside = timesOf(besideMs);
    const { refused, acceptedWithin } = await load.stop();
    expect(refused).toEqual([]);
    // The keys of all requests before the first of them is known to have been answered.
    const canaries = new Set<string>();
    let isCounting = true;
    fixture.supabase.fault = ({ key }) => {
      // A removal has its key in the body, after a lookup that has it in the URL.
      if (isCounting && key !== '') canaries.add(key);
      return undefined;
    };
    storage.on('backend', ({ backend, to }) => {
      if (backend === 'supabase' && to !== 'down') isCounting = false;
    });
    await fixture.supabase.wire.heal();
    const recoveredAtMs = systemClock.now();
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    // The first may meet a connection that the outage has ended.
    expect(canaries.size).toBeLessThanOrEqual(2);
    const { p50Ms, p99Ms, slowestMs } = acceptedWithin;
    return {
      verdict: await compareBackends(ledger, [fixture.supabase.direct, fixture.s3.direct]),
      lastedMs: recoveredAtMs - faultAtMs,
      recoveredAfterMs: systemClock.now() - recoveredAtMs,
      note:
        `Accepted within ${p50Ms.toFixed(1)} ms (p50), ${p99Ms.toFixed(1)} ms (p99), ` +
        `${slowestMs.toFixed(1)} ms (slowest); a file synced beside it ` +
        `${beside.p50Ms.toFixed(1)}, ${beside.p99Ms.toFixed(1)}, ${beside.slowestMs.toFixed(1)} ms. ` +
        `${canaries.size} key tried before the drain.`,
    };
  },
);
