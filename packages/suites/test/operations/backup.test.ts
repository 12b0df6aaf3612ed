import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type BackupPlace,
  type Backups,
  type BackupsOptions,
  type VerifyBackupOptions,
  createBackups,
  createRestoreDrill,
  diskPlace,
  startProgram,
  verifyBackup,
} from '@holdfast/operations/backup';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Decrypter, generateIdentity } from 'age-encryption';
import {
  type BackupFixture,
  openBackupFixture,
  query,
} from '../../src/operations/backup-fixture.ts';

const run = promisify(execFile);
const TABLES = 7;
const ACCOUNTS = 'select count(*)::int as rows, sum(balance)::text as sum from accounts';

let fixture: BackupFixture;
beforeAll(async () => {
  fixture = await openBackupFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(async () => fixture.close());

function backupsTo(places: readonly BackupPlace[], more: Partial<BackupsOptions> = {}): Backups {
  const { recipient, databaseUrl, configurationDirectory, keysDirectory } = fixture;
  return createBackups({
    places,
    recipients: [recipient],
    databaseUrl,
    configurationDirectory,
    keysDirectory,
    ...more,
  });
}

const verify = async (
  places: readonly BackupPlace[],
  more: Partial<VerifyBackupOptions> = {},
): ReturnType<typeof verifyBackup> =>
  verifyBackup({
    places,
    identities: [fixture.identity],
    stagingDirectory: fixture.root,
    ...more,
  });

/** A file where its directory would be. */
async function brokenDisk(): Promise<BackupPlace> {
  const file = join(await fixture.directory(), 'file');
  await writeFile(file, '');
  return diskPlace({ directory: join(file, 'backups'), name: 'broken' });
}

test('one set of database, configuration and keys is stored in three places, and each alone restores it', async () => {
  const { place } = await fixture.disk();
  const places = [place, fixture.s3(), fixture.supabase()];
  const report = await backupsTo(places, { pieceBytes: 20_000 }).backup();
  expect(report).toMatchObject({ tables: TABLES, failures: {} });
  for (const each of places) {
    const verified = await verify([each]);
    expect(verified).toMatchObject({ setId: report.setId, damaged: [] });
    const databaseUrl = await fixture.newDatabase();
    const root = await fixture.directory();
    const [configurationDirectory, keysDirectory] = [join(root, 'conf'), join(root, 'keys')];
    const target = { databaseUrl, configurationDirectory, keysDirectory };
    const restored = await verified.restore(target);
    expect(restored.tables).toBe(TABLES);
    expect(await query(databaseUrl, ACCOUNTS)).toEqual(await query(fixture.databaseUrl, ACCOUNTS));
    expect(await query(databaseUrl, 'select last_value::int from tickets')).toEqual([
      { last_value: 41 },
    ]);
    await run('diff', ['-r', fixture.configurationDirectory, configurationDirectory]);
    await run('diff', ['-r', fixture.keysDirectory, keysDirectory]);
    // What was restored once is in use.
    await expect(verified.restore(target)).rejects.toMatchObject({ code: 'BACKUP_TARGET_IN_USE' });
  }
});

test('a set is restored by age, tar and pg_restore alone', async () => {
  const { place, directory } = await fixture.disk();
  const { setId } = await backupsTo([place], { pieceBytes: 20_000 }).backup();
  const root = await fixture.directory();
  const names = (await readdir(join(directory, setId))).toSorted();
  // The package of npm stands for the program, which reads the same format.
  const decrypt = async (part: string): Promise<string> => {
    const pieces = names.filter((name) => name.startsWith(`${part}.age`));
    expect(pieces.length).toBeGreaterThan(0);
    const read = pieces.map(async (name) => readFile(join(directory, setId, name)));
    const decrypter = new Decrypter();
    decrypter.addIdentity(fixture.identity);
    await writeFile(
      join(root, part),
      await decrypter.decrypt(Buffer.concat(await Promise.all(read))),
    );
    return join(root, part);
  };
  const dump = await decrypt('database.dump');
  const databaseUrl = await fixture.newDatabase();
  await run('pg_restore', ['--exit-on-error', '--no-owner', `--dbname=${databaseUrl}`, dump]);
  expect(await query(databaseUrl, ACCOUNTS)).toEqual(await query(fixture.databaseUrl, ACCOUNTS));
  await mkdir(join(root, 'keys'));
  await run('tar', ['-xf', await decrypt('keys.tar'), '-C', join(root, 'keys')]);
  await run('diff', ['-r', fixture.keysDirectory, join(root, 'keys')]);
  const manifest: unknown = JSON.parse(await readFile(await decrypt('manifest.json'), 'utf8'));
  expect(manifest).toMatchObject({ format: 1, setId });
});

test('rows that are written during a backup are in it or not, and the proof holds', async () => {
  const { place } = await fixture.disk();
  const ending = new AbortController();
  const write = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await query(fixture.databaseUrl, "insert into events values ('2026-05-01', 'meanwhile')");
    }
  };
  const writing = write();
  await backupsTo([place]).backup();
  ending.abort();
  await writing;
  const verified = await verify([place]);
  const databaseUrl = await fixture.newDatabase();
  expect((await verified.restore({ databaseUrl })).tables).toBe(TABLES);
});

test('a place that fails does not keep the set from the others, and its lost or changed objects are read from them', async () => {
  const [first, second] = [await fixture.disk('first'), await fixture.disk('second')];
  const broken = await brokenDisk();
  const places = [broken, first.place, second.place];
  const report = await backupsTo(places, { minPlaces: 2 }).backup();
  expect(Object.keys(report.failures)).toEqual(['broken']);
  const folder = join(first.directory, report.setId);
  await writeFile(join(folder, 'database.dump.age.00000'), 'changed');
  const verified = await verify([first.place, second.place]);
  const key = `${report.setId}/database.dump.age.00000`;
  expect(verified.damaged).toEqual([{ place: 'first', key }]);
  const databaseUrl = await fixture.newDatabase();
  expect((await verified.restore({ databaseUrl })).tables).toBe(TABLES);
});

test('an S3 that refuses writes in the middle of a backup costs only its own copy', async () => {
  const { place } = await fixture.disk();
  const s3 = fixture.s3();
  let writes = 0;
  const failing: BackupPlace = {
    ...s3,
    async write(key, bytes, signal) {
      writes += 1;
      if (writes === 3) await fixture.stage.s3.kill();
      return s3.write(key, bytes, signal);
    },
  };
  try {
    const report = await backupsTo([place, failing], { pieceBytes: 5_000 }).backup();
    expect(Object.keys(report.failures)).toEqual(['s3']);
    const verified = await verify([place, failing], { setId: report.setId });
    expect(verified.setId).toBe(report.setId);
  } finally {
    await fixture.stage.s3.start();
  }
});

test('what cannot succeed is refused before any program is started', async () => {
  const { place } = await fixture.disk();
  const started: string[] = [];
  const start = (program: string): never => {
    started.push(program);
    throw new Error('not to be started');
  };
  const broken = await brokenDisk();
  const refuses = async (backups: Backups, code: string): Promise<void> => {
    await expect(backups.backup()).rejects.toMatchObject({ code });
  };
  await refuses(backupsTo([broken], { start }), 'BACKUP_PLACES');
  await refuses(backupsTo([place, broken], { minPlaces: 2, start }), 'BACKUP_PLACES');
  await refuses(backupsTo([place], { recipients: ['age1wrong'], start }), 'BACKUP_KEY');
  const missing = { configurationDirectory: '/nowhere', start };
  await refuses(backupsTo([place], missing), 'BACKUP_SOURCE');
  expect(started).toEqual([]);
  expect(() => backupsTo([place], { minPlaces: 2 })).toThrow(/minPlaces/);
  expect(() => backupsTo([])).toThrow(/places/);
  expect(() => backupsTo([place, place])).toThrow(/places/);
  expect(() => backupsTo([place], { databaseUrl: 'mysql://x/y' })).toThrow(/databaseUrl/);
  expect(await backupsTo([place]).list()).toEqual([]);
  await expect(verify([place])).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  await backupsTo([place]).backup();
  const identities = [await generateIdentity()];
  await expect(verify([place], { identities })).rejects.toMatchObject({ code: 'BACKUP_KEY' });
});

test('a failed dump leaves nothing of its set', async () => {
  const { place } = await fixture.disk();
  const url = new URL(fixture.databaseUrl);
  url.pathname = '/nowhere';
  await expect(backupsTo([place], { databaseUrl: url.href }).backup()).rejects.toThrow(/nowhere/);
  expect(await place.list('', AbortSignal.timeout(5_000))).toEqual([]);
});

test('rows that differ after the restore are noticed: one changed digit', async () => {
  const { place } = await fixture.disk();
  await backupsTo([place]).backup();
  const databaseUrl = await fixture.newDatabase();
  const verified = await verify([place], {
    start: (...call) => {
      const restore = startProgram(...call);
      const sql = 'update accounts set balance = balance + 0.01 where id = 77';
      const ended = restore.ended.then(async () => void (await query(databaseUrl, sql)));
      return { ...restore, ended };
    },
  });
  await expect(verified.restore({ databaseUrl })).rejects.toMatchObject({
    code: 'BACKUP_ROWS_DIFFER',
    tables: ['public.accounts'],
  });
});

test('a drill restores the newest set and measures what would be lost, and how long it takes', async () => {
  const { place } = await fixture.disk();
  await backupsTo([place]).backup();
  const { setId } = await backupsTo([place]).backup();
  const checked: string[] = [];
  let removed = 0;
  const drill = createRestoreDrill({
    places: [place],
    identities: [fixture.identity],
    prepare: async () => {
      const databaseUrl = await fixture.newDatabase();
      return { databaseUrl, remove: async () => void (removed += 1) };
    },
    check: async ({ databaseUrl }) =>
      void checked.push(String((await query(databaseUrl, ACCOUNTS))[0]?.['rows'])),
  });
  const report = await drill.run();
  expect(report).toMatchObject({ setId, tables: TABLES, damaged: [] });
  expect(report.rpoMs).toBeGreaterThan(0);
  expect(report.rtoMs).toBeGreaterThan(0);
  expect(checked).toEqual(['500']);
  expect(removed).toBe(1);
});

test('pruning removes what no rule keeps, and what was never complete, from every place', async () => {
  const { place, directory } = await fixture.disk();
  const retention = { last: 2, daily: 0, monthly: 0 };
  const backups = backupsTo([place], { retention });
  const old = join(directory, '20200101T000000000Z-00000000');
  await mkdir(old);
  await writeFile(join(old, 'database.dump.age.00000'), 'of a backup that was killed');
  const taken: string[] = [];
  for (let count = 0; count < 3; count += 1) taken.push((await backups.backup()).setId);
  const newestFirst = taken.toSorted().toReversed();
  expect(await backups.prune()).toEqual(newestFirst.slice(2));
  expect((await backups.list()).map(({ setId }) => setId)).toEqual(newestFirst.slice(0, 2));
  const keys = await place.list('', AbortSignal.timeout(5_000));
  expect(keys.filter((key) => key.startsWith('2020'))).toEqual([]);
});

test('a copy of the whole server is restored with all that Postgres starts from', async () => {
  const { place } = await fixture.disk();
  const { databaseUrl } = fixture;
  await backupsTo([place], { databaseUrl, wholeServer: true, pieceBytes: 4_000_000 }).backup();
  const verified = await verify([place]);
  const serverDirectory = join(await fixture.directory(), 'server');
  await verified.restore({ serverDirectory });
  const names = await readdir(serverDirectory);
  expect(names).toEqual(expect.arrayContaining(['PG_VERSION', 'backup_label', 'backup_manifest']));
  expect((await readdir(join(serverDirectory, 'pg_wal'))).length).toBeGreaterThan(0);
});
