import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS, openStage } from '@holdfast/stage';
import { EXAMPLES, openExamples } from '../../src/examples/example.ts';
import { statusOf } from '../../src/examples/orders.ts';
import { waitUntil } from '../../src/wait-until.ts';

const fixture = openExamples();
afterAll(() => fixture.close());

test(
  'Hono accepts and serves files while S3 is down, and S3 has each once it is back, after a restart too',
  async () => {
    const stage = await openStage({ s3: true });
    const { credentials, region, url } = stage.s3;
    const client = new S3Client({ endpoint: url, region, credentials, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'files' }));
    const options = {
      folder: join(EXAMPLES, 'hono'),
      entry: 'server.ts',
      env: {
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        BUCKET: 'files',
        FILES_DIRECTORY: await fixture.directory(),
        S3_URL: url,
      },
    };
    const first = fixture.start(options);
    const address = await first.url();
    const put = (key: string) =>
      fetch(`${address}/files/${key}`, { method: 'PUT', body: `the bytes of ${key}` });
    const before = await put('before');
    expect([before.status, await before.json()]).toEqual([201, { stored: 'primary' }]);

    await stage.s3.kill();
    const during = await put('during');
    expect([during.status, await during.json()]).toEqual([202, { stored: 'local' }]);
    for (const key of ['before', 'during']) {
      const read = await fetch(`${address}/files/${key}`);
      expect([read.status, await read.text()]).toEqual([200, `the bytes of ${key}`]);
    }
    expect(await statusOf(`${address}/readyz`)).toBe(200);
    expect(await first.stop()).toBe(0);

    await stage.s3.start();
    const second = fixture.start(options);
    await second.url();
    const stored = () =>
      client
        .send(new GetObjectCommand({ Bucket: 'files', Key: 'during' }))
        .then(({ Body }) => Body?.transformToString())
        .catch(() => undefined);
    await waitUntil(async () => (await stored()) === 'the bytes of during');
    expect(await second.stop()).toBe(0);
    client.destroy();
    await stage.close();
  },
  STAGE_OPEN_TIMEOUT_MS,
);
