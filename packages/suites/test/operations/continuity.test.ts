import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  MemoryRunStore,
  createMemoryRunner,
  disasterPlan,
  testDisasterRecovery,
} from '@holdfast/operations';
import { createBackups, createRestoreDrill, diskPlace } from '@holdfast/operations/backup';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { type DisasterSite, openDisasterSite } from '../../src/operations/disaster-site.ts';
import { waitUntil } from '../../src/wait-until.ts';

const LEASE_MS = 500;

let site: DisasterSite;
beforeAll(async () => {
  site = await openDisasterSite();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(async () => site.close());

test('the service moves to its standby when its site freezes, though the process that carries out the plan dies: no acknowledged row is lost, and the old site takes no write', async () => {
  const done: string[] = [];
  const { plan } = site;
  const { promise: promoting, resolve: reached } = Promise.withResolvers<void>();
  let promotions = 0;
  const functions = {
    disaster: disasterPlan({
      ...plan,
      fence: async (step) => {
        await plan.fence(step);
        done.push('fenced');
      },
      promote: async (step) => {
        promotions += 1;
        reached();
        // The first executor dies at this step.
        if (promotions === 1) await new Promise(() => {});
        await plan.promote(step);
        done.push(`promoted by fence ${step.fence}`);
      },
    }),
  };
  const store = new MemoryRunStore();
  const first = createMemoryRunner({ functions, store, leaseMs: LEASE_MS });
  const second = createMemoryRunner({ functions, store, leaseMs: LEASE_MS });
  const runners = [first, second];
  const writing = site.startWriting();
  let acknowledged = 0;
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-continuity-'));
  const identity = await generateIdentity();
  let restored = 0;
  try {
    const report = await testDisasterRecovery({
      check: async () => site.check(acknowledged),
      trigger: async () => site.stage.postgres.primary.freeze(),
      recover: async (signal) => {
        await first.start('disaster', null, { runId: 'move' });
        await promoting;
        const [running] = await first.list({ state: 'running' });
        expect(running).toMatchObject({ step: 'promote' });
        first.kill();
        const outcome = await second.result('move', { signal });
        await waitUntil(async () => (await site.check(0)).length === 0);
        acknowledged = await writing.stop();
        return outcome;
      },
      // Normal is two sites: the new one is built from a backup of the site that serves.
      restore: async () => {
        const places = [diskPlace({ directory })];
        const databaseUrl = site.address();
        const recipients = [await identityToRecipient(identity)];
        await createBackups({ places, recipients, databaseUrl }).backup();
        const prepare = async (): Promise<{ databaseUrl: string; remove(): Promise<void> }> => {
          const url = new URL(databaseUrl);
          await site.execute('create database rebuilt template template0');
          url.pathname = '/rebuilt';
          return {
            databaseUrl: url.href,
            remove: async () => site.execute('drop database rebuilt'),
          };
        };
        const drill = createRestoreDrill({ places, identities: [identity], prepare });
        restored = (await drill.run()).rows;
      },
    });
    expect(report).toMatchObject({ isRecovered: true, issues: [] });
    expect(report.outcome).toMatchObject({ kind: 'active' });
    expect(done).toEqual(['fenced', 'promoted by fence 2']);
    expect(acknowledged).toBeGreaterThan(0);
    expect(restored).toBeGreaterThanOrEqual(acknowledged);
    expect(await site.oldSiteTakesWrites()).toBe(false);
    expect(site.address()).toBe(site.stage.postgres.replica.url);
  } finally {
    await Promise.all(runners.map(async (runner) => runner.close()));
    await rm(directory, { recursive: true });
  }
}, 120_000);
