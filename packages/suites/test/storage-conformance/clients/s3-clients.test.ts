import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type S3Server, createS3Server } from '@holdfast/emulators';
import {
  type S3Target,
  findBoto3,
  findProgram,
  programOn,
} from '../../../src/storage/s3-programs.ts';
import { type ClientWorld, s3ClientChecks } from './s3-client-checks.ts';
import { minioCheck } from './s3-minio-check.ts';
import { targetIn } from '../s3-target.ts';

/** Programs of others on a busy machine: none of them takes more than a few seconds of work. */
jest.setTimeout(120_000);

const folder = await mkdtemp(join(tmpdir(), 'holdfast-clients-'));
const large = randomBytes(11 * 2 ** 20);
let own: S3Server;

beforeAll(async () => {
  own = await createS3Server();
});

afterAll(async () => {
  await own.close();
  await rm(folder, { recursive: true, force: true });
});

/** The emulator, and the real S3 that HOLDFAST_S3_URL names. */
const targets: readonly (readonly [name: string, target: () => S3Target])[] = [
  ['own S3', () => own],
  ...(targetIn(process.env) === undefined
    ? []
    : [['the S3 of HOLDFAST_S3_URL', () => targetIn(process.env) ?? own] as const]),
];

async function worldOf(target: S3Target, path: string): Promise<ClientWorld> {
  const directory = await mkdtemp(join(folder, 'client-'));
  await mkdir(join(directory, 'in/sub'), { recursive: true });
  await writeFile(join(directory, 'in/a.txt'), 'a');
  await writeFile(join(directory, 'in/sub/b c.txt'), 'b');
  await writeFile(join(directory, 'large'), large);
  const bucket = `clients-${randomUUID().slice(0, 8)}`;
  return { run: programOn(path, target, directory), target, bucket, directory, large };
}

const paths = await Promise.all(
  s3ClientChecks.map(({ program }) => (program === 'boto3' ? findBoto3() : findProgram(program))),
);

for (const [name, target] of targets) {
  for (const [at, check] of s3ClientChecks.entries()) {
    const path = paths[at];
    if (path === undefined) {
      // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
      test.skip(`${name}: ${check.name} (${check.program} is not installed)`, () => undefined);
      continue;
    }
    test(`${name}: ${check.name}`, async () => {
      expect(await check.run(await worldOf(target(), path))).toBe('ok');
    });
  }
  test(`${name}: ${minioCheck.name}`, async () => {
    expect(await minioCheck.run(await worldOf(target(), ''))).toBe('ok');
  });
}
