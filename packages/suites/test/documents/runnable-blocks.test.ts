import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { codePagesIn, runBlock, runnableBlocksIn } from '@holdfast/site';
import { openStage } from '@holdfast/stage';

const BLOCK_TIMEOUT_MS = 20_000;
const root = join(import.meta.dirname, '../../../..');
/** In a package that has what the blocks import. */
const sources = join(root, 'packages/site/.runs');
const blocks = runnableBlocksIn(codePagesIn(root));

/** The addresses that documents name. */
const REDIS = 'redis://127.0.0.1:6379';
const POSTGRES = 'postgres://127.0.0.1:5432/shop';
const S3 = 'http://127.0.0.1:9000';
const FOLDER = '/var/lib/shop';

const isNamed = (address: string): boolean => blocks.some(({ code }) => code.includes(address));
const replacements = new Map<string, string>();
const env: NodeJS.ProcessEnv = { ...process.env };
let close: (() => Promise<void>) | undefined;

beforeAll(async () => {
  if (isNamed(REDIS)) {
    const stage = await openStage({ redis: true });
    replacements.set(REDIS, stage.redis.url);
    closeLater(() => stage.close());
  }
  if (isNamed(POSTGRES)) {
    const stage = await openStage({ postgres: true });
    const { url } = await stage.postgres.createDatabase({ name: 'shop' });
    replacements.set(POSTGRES, url);
    closeLater(() => stage.close());
  }
  if (isNamed(S3)) {
    const stage = await openStage({ s3: true });
    const { url, region, credentials } = stage.s3;
    const client = new S3Client({ endpoint: url, region, credentials, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'shop' }));
    client.destroy();
    replacements.set(S3, url);
    env['AWS_REGION'] = region;
    env['AWS_ACCESS_KEY_ID'] = credentials.accessKeyId;
    env['AWS_SECRET_ACCESS_KEY'] = credentials.secretAccessKey;
    closeLater(() => stage.close());
  }
});
afterAll(async () => {
  await close?.();
  await rm(sources, { recursive: true, force: true });
});

function closeLater(next: () => Promise<void>): void {
  const before = close;
  close = async () => {
    await next();
    await before?.();
  };
}

test.each(blocks.map((block) => ({ ...block, block })))(
  'the program in $name runs and prints what the page says',
  async ({ block, prints }) => {
    const directory = await mkdtemp(join(tmpdir(), 'hf-docs-'));
    try {
      const own = new Map([...replacements, [FOLDER, directory]]);
      const result = await runBlock(sources, block, own, { timeoutMs: BLOCK_TIMEOUT_MS, env });
      expect({ ...result, stdout: '' }).toEqual({ status: 0, stdout: '', stderr: '' });
      // oxlint-disable-next-line jest/no-conditional-expect -- not every page says what is printed
      if (prints !== undefined) expect(result.stdout.trimEnd()).toBe(prints.trimEnd());
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
);

test('a program that fails, and one that does not end, are noticed', async () => {
  const limits = { timeoutMs: 1_000, env };
  const run = (code: string): Promise<object> =>
    runBlock(sources, { name: code, code, prints: undefined }, new Map([['REPLY', '7']]), limits);
  expect(await run('console.log(REPLY); process.exit(REPLY)')).toMatchObject({
    status: 7,
    stdout: '7\n',
  });
  expect(await run('setInterval(() => {}, 1)')).toMatchObject({ status: undefined });
  expect(blocks.length).toBeGreaterThan(0);
});
