import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type BackupPlace, diskPlace, supabasePlace } from '@holdfast/operations/backup';
import { s3Place } from '@holdfast/operations/backup-s3';
import { type Stage, openStage } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { Client } from 'pg';

const BUCKET = 'backups';
const ROWS = 500;

/** What is hard to bring back as it was: odd names, floats, bytes, times, partitions, generated columns, inheritance. */
const TABLES = `
  create schema "Odd schema";
  create table accounts (id int primary key, balance numeric(12, 2), note text);
  insert into accounts select i, i * 1.37, repeat('n', i % 50) from generate_series(1, ${ROWS}) i;
  create table "Odd schema"."odd ""table" (
    id bigint generated always as identity primary key, share double precision, raw bytea,
    at timestamptz, lasts interval, tags text[], info jsonb, twice double precision
      generated always as (share * 2) stored);
  insert into "Odd schema"."odd ""table" (share, raw, at, lasts, tags, info)
    select 1.0 / i, decode(md5(i::text), 'hex'), timestamptz '2026-03-29 00:30Z' + i * interval '1 hour',
      i * interval '1 minute', array['a', null, i::text], jsonb_build_object('i', i)
    from generate_series(1, 50) i;
  create table events (at date not null, what text) partition by range (at);
  create table events_early partition of events for values from ('2026-01-01') to ('2026-02-01');
  create table events_late partition of events default;
  insert into events select date '2026-01-01' + i, 'event' from generate_series(0, 60) i;
  create table parent (name text);
  create table child (age int) inherits (parent);
  insert into parent values ('p');
  insert into child values ('c', 3);
  create table empty ();
  create materialized view totals as select sum(balance) from accounts;
  create sequence tickets;
  select setval('tickets', 41);`;

/** A database with directories beside it, and places for its backups. */
export interface BackupFixture {
  readonly stage: Stage<{ postgres: true; s3: true; supabase: true }>;
  /** The folder of all of it, removed at the end. */
  readonly root: string;
  readonly databaseUrl: string;
  readonly configurationDirectory: string;
  readonly keysDirectory: string;
  readonly identity: string;
  readonly recipient: string;
  /** A new directory. */
  directory(): Promise<string>;
  /** A new, empty database. */
  newDatabase(): Promise<string>;
  /** A place on disk, and its directory. */
  disk(name?: string): Promise<{ readonly place: BackupPlace; readonly directory: string }>;
  s3(): BackupPlace;
  supabase(): BackupPlace;
  close(): Promise<void>;
}

export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(sql);
    return rows;
  } finally {
    await client.end();
  }
}

export async function openBackupFixture(): Promise<BackupFixture> {
  const stage = await openStage({ postgres: true, s3: true, supabase: true });
  const root = await mkdtemp(join(tmpdir(), 'holdfast-backup-'));
  const databaseUrl = (await stage.postgres.createDatabase()).url;
  await query(databaseUrl, TABLES);
  const configurationDirectory = join(root, 'configuration');
  const keysDirectory = join(root, 'keys');
  await mkdir(join(configurationDirectory, 'sites', 'empty'), { recursive: true });
  await mkdir(keysDirectory);
  await writeFile(join(configurationDirectory, 'app.json'), '{"port":1}');
  await writeFile(join(configurationDirectory, 'sites', 'é long name.conf'), 'x'.repeat(3_000));
  await writeFile(join(keysDirectory, 'signing.key'), 'not for others', { mode: 0o600 });
  const identity = await generateIdentity();
  const { region, credentials, url } = stage.s3;
  const settings = { endpoint: url, region, credentials: { ...credentials }, forcePathStyle: true };
  const s3Client = new S3Client({ ...settings, maxAttempts: 1 });
  await s3Client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const supabase = createClient(stage.supabase.url, stage.supabase.serviceRoleKey);
  await supabase.storage.createBucket(BUCKET);
  const directory = async (): Promise<string> => mkdtemp(join(root, 'place-'));
  return {
    stage,
    root,
    databaseUrl,
    configurationDirectory,
    keysDirectory,
    identity,
    recipient: await identityToRecipient(identity),
    directory,
    newDatabase: async () => (await stage.postgres.createDatabase({ template: 'template0' })).url,
    async disk(name = 'disk') {
      const made = await directory();
      return { place: diskPlace({ directory: made, name }), directory: made };
    },
    s3: () => s3Place({ client: s3Client, bucket: BUCKET, prefix: 'sets/' }),
    supabase: () => supabasePlace({ bucket: supabase.storage.from(BUCKET) }),
    async close() {
      s3Client.destroy();
      await stage.close();
      await rm(root, { recursive: true });
    },
  };
}
