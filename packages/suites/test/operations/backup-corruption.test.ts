import { copyFile, cp, readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { environment, propertyOf, seededRandom } from '@holdfast/foundation';
import { createBackups, diskPlace, verifyBackup } from '@holdfast/operations/backup';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { generateIdentity } from 'age-encryption';
import {
  type BackupFixture,
  openBackupFixture,
  query,
} from '../../src/operations/backup-fixture.ts';

/** A tenth by default; `HOLDFAST_RUNS=2000` for all. */
const RUNS = Number(environment['HOLDFAST_RUNS'] ?? 200);
const SEED = Number(environment['HOLDFAST_SEED'] ?? 4);
const PIECE_BYTES = 4_096;
const REFUSED = new Set(['BACKUP_CORRUPT', 'BACKUP_KEY', 'BACKUP_NOT_FOUND']);
const TABLES_IN = `select count(*)::int as tables from pg_class c
  join pg_namespace n on n.oid = c.relnamespace where nspname = 'public'`;

let fixture: BackupFixture;
beforeAll(async () => {
  fixture = await openBackupFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(async () => fixture.close());

/** What a corruption changes: the objects of one set, in a copy of the place. */
interface Ground {
  readonly folder: string;
  readonly names: readonly string[];
  /** Another set of the same service, whole. */
  readonly other: string;
  readonly otherNames: readonly string[];
  readonly below: (limit: number) => number;
}

type Corruption = (ground: Ground) => Promise<string>;

const pick = ({ names, below }: Ground): string => names[below(names.length)] ?? '';

async function swap(folder: string, first: string, second: string): Promise<void> {
  await rename(join(folder, first), join(folder, 'swapped'));
  await rename(join(folder, second), join(folder, first));
  await rename(join(folder, 'swapped'), join(folder, second));
}

const corruptions: Readonly<Record<string, Corruption>> = {
  async flip(ground) {
    const name = pick(ground);
    const path = join(ground.folder, name);
    const bytes = await readFile(path);
    const at = ground.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << ground.below(8));
    await writeFile(path, bytes);
    return `${name} at ${at}`;
  },
  async cut(ground) {
    const name = pick(ground);
    const { length } = await readFile(join(ground.folder, name));
    const left = ground.below(length);
    await truncate(join(ground.folder, name), left);
    return `${name} to ${left}`;
  },
  async extend(ground) {
    const name = pick(ground);
    await writeFile(join(ground.folder, name), Buffer.alloc(1 + ground.below(99)), { flag: 'a' });
    return name;
  },
  async swap(ground) {
    const first = ground.below(ground.names.length);
    const second = (first + 1 + ground.below(ground.names.length - 1)) % ground.names.length;
    const names = [ground.names[first] ?? '', ground.names[second] ?? ''] as const;
    await swap(ground.folder, ...names);
    return names.join(' and ');
  },
  async reorder(ground) {
    const pieces = ground.names.filter((name) => name.startsWith('database.dump'));
    const first = ground.below(pieces.length - 1);
    await swap(ground.folder, pieces[first] ?? '', pieces[first + 1] ?? '');
    return `piece ${first} of the dump`;
  },
  async remove(ground) {
    const name = pick(ground);
    await rm(join(ground.folder, name));
    return name;
  },
  async mix(ground) {
    const common = ground.names.filter((name) => ground.otherNames.includes(name));
    const name = common[ground.below(common.length)] ?? '';
    await copyFile(join(ground.other, name), join(ground.folder, name));
    return name;
  },
};

test(`each of ${RUNS} random corruptions of a set is found before any row is touched`, async () => {
  const { directory } = await fixture.disk();
  const { recipient, databaseUrl, configurationDirectory, keysDirectory } = fixture;
  const backups = createBackups({
    places: [diskPlace({ directory })],
    recipients: [recipient],
    databaseUrl,
    configurationDirectory,
    keysDirectory,
    pieceBytes: PIECE_BYTES,
  });
  const { setId } = await backups.backup();
  const { setId: otherId } = await backups.backup();
  const target = await fixture.newDatabase();
  const stranger = await generateIdentity();
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(random() * limit);
  const kinds = [...Object.keys(corruptions), 'wrong key'];
  const names = (await readdir(join(directory, setId))).toSorted();
  const other = join(directory, otherId);
  const otherNames = await readdir(other);
  const passed: string[] = [];
  const found = new Map<string, number>();
  for (let round = 0; round < RUNS; round += 1) {
    const copy = await fixture.directory();
    const folder = join(copy, setId);
    await cp(join(directory, setId), folder, { recursive: true });
    const kind = kinds[round % kinds.length] ?? '';
    const what = await corruptions[kind]?.({ folder, names, other, otherNames, below });
    const identities = [kind === 'wrong key' ? stranger : fixture.identity];
    try {
      const verified = await verifyBackup({
        places: [diskPlace({ directory: copy })],
        identities,
        setId,
        stagingDirectory: copy,
      });
      await verified.restore({ databaseUrl: target });
      passed.push(`round ${round} of seed ${SEED}: ${kind} ${String(what)}`);
    } catch (error) {
      const code = String(propertyOf(error, 'code'));
      if (!REFUSED.has(code)) throw error;
      found.set(kind, (found.get(kind) ?? 0) + 1);
    }
    await rm(copy, { recursive: true });
  }
  expect(passed).toEqual([]);
  expect([...found.values()].reduce((sum, count) => sum + count, 0)).toBe(RUNS);
  expect(await query(target, TABLES_IN)).toEqual([{ tables: 0 }]);
  // The set that was copied is whole.
  const places = [diskPlace({ directory })];
  const verified = await verifyBackup({
    places,
    identities: [fixture.identity],
    setId,
    stagingDirectory: fixture.root,
  });
  expect((await verified.restore({ databaseUrl: target })).rows).toBeGreaterThan(0);
}, 600_000);
