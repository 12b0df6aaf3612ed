/**
 * Shows a service that survives the loss of its site: `npm run operations:drill`
 *
 * Starts a Postgres with a standby and an S3, writes all the time, takes a backup to disk and S3, then freezes the
 * primary for good. Moves to the standby by the disaster plan, restores the backup beside it, and prints RPO and RTO
 * of both. Ends with 1 if an acknowledged row is missing, or the restore is not proven.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { systemClock } from '@holdfast/foundation';
import { createMemoryRunner, disasterPlan, testDisasterRecovery } from '@holdfast/operations';
import {
  type BackupPlace,
  createBackups,
  createRestoreDrill,
  diskPlace,
} from '@holdfast/operations/backup';
import { s3Place } from '@holdfast/operations/backup-s3';
import { openStage } from '@holdfast/stage';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { waitUntil } from '../wait-until.ts';
import { type DisasterSite, openDisasterSite } from './disaster-site.ts';

const BUCKET = 'drill';
const ROWS_BEFORE = 50_000;

const startedMs = systemClock.now();
function say(text: string): void {
  const seconds = ((systemClock.now() - startedMs) / 1_000).toFixed(1).padStart(5);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

const inSeconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** Restores the newest set beside the site that serves. */
async function rehearse(
  site: DisasterSite,
  places: readonly BackupPlace[],
  identity: string,
): Promise<boolean> {
  const drill = createRestoreDrill({
    places,
    identities: [identity],
    prepare: async () => {
      await site.execute('create database drill template template0');
      const url = new URL(site.address());
      url.pathname = '/drill';
      return { databaseUrl: url.href, remove: async () => site.execute('drop database drill') };
    },
  });
  const { rpoMs, rtoMs, tables, rows, setId, damaged } = await drill.run();
  say(
    `restored ${setId}: ${rows} rows in ${tables} tables, each proven; ${damaged.length} damaged objects`,
  );
  say(`backup:   RPO ${inSeconds(rpoMs)} (the age of its snapshot), RTO ${inSeconds(rtoMs)}`);
  return rows >= ROWS_BEFORE;
}

/** Moves to the standby. */
async function move(site: DisasterSite): Promise<boolean> {
  const writing = site.startWriting();
  let acknowledged = 0;
  const runner = createMemoryRunner({ functions: { disaster: disasterPlan(site.plan) } });
  const report = await testDisasterRecovery({
    check: async () => site.check(acknowledged),
    trigger: async () => {
      say('the primary freezes, and will not come back');
      await site.stage.postgres.primary.freeze();
    },
    recover: async (signal) => {
      await runner.start('disaster', null, { runId: 'drill' });
      const outcome = await runner.result('drill', { signal });
      await waitUntil(async () => (await site.check(0)).length === 0);
      acknowledged = await writing.stop();
      return outcome;
    },
    // The old site stays fenced: going back is a plan of its own.
    restore: async () => undefined,
  });
  await runner.close();
  say(`the plan: ${JSON.stringify(report.outcome)}`);
  for (const issue of report.issues) say(`ISSUE: ${issue}`);
  const lost = report.isRecovered ? 'none lost: RPO 0 s' : 'see the issues';
  say(`standby:  ${acknowledged} acknowledged rows, ${lost}, RTO ${inSeconds(report.rtoMs)}`);
  return report.isRecovered;
}

const directory = await mkdtemp(join(tmpdir(), 'holdfast-drill-'));
say('starting a Postgres with a standby, and an S3');
const [site, objects] = await Promise.all([openDisasterSite(), openStage({ s3: true })]);
try {
  await site.execute(
    `insert into orders (id) select 1000000 + i from generate_series(1, ${ROWS_BEFORE}) i`,
  );
  const { url, region, credentials } = objects.s3;
  const settings = { endpoint: url, region, credentials: { ...credentials }, forcePathStyle: true };
  const client = new S3Client(settings);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const places = [diskPlace({ directory }), s3Place({ client, bucket: BUCKET })];
  const identity = await generateIdentity();
  const recipients = [await identityToRecipient(identity)];
  const { setId, bytes, tookMs } = await createBackups({
    places,
    recipients,
    databaseUrl: site.address(),
  }).backup();
  say(`backup ${setId}: ${bytes} bytes, encrypted, on disk and S3, in ${inSeconds(tookMs)}`);
  const isMoved = await move(site);
  await rm(directory, { recursive: true });
  say('the disk with the backup is gone as well; S3 has the other');
  const isProven = await rehearse(site, places, identity);
  client.destroy();
  process.exitCode = isMoved && isProven ? 0 : 1;
} finally {
  await Promise.all([site.close(), objects.close()]);
  await rm(directory, { recursive: true, force: true });
}
