import { expect, test } from '@jest/globals';
import { type S3, openStage } from '@holdfast/stage';
import { divergences } from './divergences.ts';
import { type ConformanceServer, runAllChecks, serverIn } from './conformance-servers.ts';
import { type Check, idleDivergences } from './run-checks.ts';
import { s3BucketChecks } from './s3-bucket-checks.ts';
import { s3ObjectChecks } from './s3-object-checks.ts';
import { targetIn } from './s3-target.ts';
import { type S3Place, type S3World, openS3World } from './s3-world.ts';

const checks: readonly Check<S3World>[] = [...s3ObjectChecks, ...s3BucketChecks];

function serverAt(place: S3Place, close: () => Promise<void>): ConformanceServer<S3World> {
  return { open: (name) => openS3World(place, `${name}-bucket`), close };
}

async function openOn(mode: 'local' | 'docker' | 'compose'): Promise<ConformanceServer<S3World>> {
  const stage = await openStage({ mode, s3: true });
  const s3: S3 = stage.s3;
  return serverAt(s3, () => stage.close());
}

await runAllChecks({ server: 'own S3', stage: 'local', open: () => openOn('local'), checks });

const { HOLDFAST_STAGE, HOLDFAST_IMAGE_S3: image } = process.env;
const target = targetIn(process.env);
if (target !== undefined) {
  // A server that already runs elsewhere.
  const open = (): Promise<ConformanceServer<S3World>> =>
    Promise.resolve(serverAt(target, () => Promise.resolve()));
  await runAllChecks({ server: 'RustFS', stage: 'compose', open, checks });
} else if (HOLDFAST_STAGE === 'docker' || HOLDFAST_STAGE === 'compose') {
  const stage = HOLDFAST_STAGE;
  const server = serverIn(image, { real: 'RustFS', own: 'own S3' });
  await runAllChecks({ server, stage, open: () => openOn(stage), checks });
}

test('S3 has at least thirty checks with distinct names', () => {
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  expect(checks.length).toBeGreaterThanOrEqual(30);
});

test('every listed divergence of an S3 names a check', () => {
  const ofS3 = divergences.filter(({ server }) => ['own S3', 'RustFS'].includes(server));
  expect(idleDivergences(checks, ofS3)).toEqual([]);
});
