import { expect, test } from '@jest/globals';
import { openStage, supabaseKeys } from '@holdfast/stage';
import { divergences } from './divergences.ts';
import { type ConformanceServer, runAllChecks, serverIn } from './conformance-servers.ts';
import { type Check, idleDivergences, wantedFor } from './run-checks.ts';
import { supabaseAccessChecks } from './supabase-access-checks.ts';
import { supabaseListingChecks } from './supabase-listing-checks.ts';
import { supabaseObjectChecks } from './supabase-object-checks.ts';
import { type SupabaseWorld, openSupabaseWorld } from './supabase-world.ts';

const checks: readonly Check<SupabaseWorld>[] = [
  ...supabaseObjectChecks,
  ...supabaseListingChecks,
  ...supabaseAccessChecks,
];

async function openOn(
  mode: 'local' | 'docker' | 'compose',
): Promise<ConformanceServer<SupabaseWorld>> {
  const stage = await openStage({ mode, supabase: true });
  const { supabase } = stage;
  return { open: (name) => openSupabaseWorld(supabase, name), close: () => stage.close() };
}

await runAllChecks({ server: 'own Supabase', stage: 'local', open: () => openOn('local'), checks });

const {
  HOLDFAST_STAGE,
  HOLDFAST_SUPABASE_STORAGE_URL: address,
  HOLDFAST_IMAGE_SUPABASE_STORAGE: image,
} = process.env;
if (address !== undefined) {
  // A server that already runs elsewhere.
  const jwtSecret = process.env['HOLDFAST_SUPABASE_JWT_SECRET'] ?? '';
  const storageUrl = address;
  const open = (): Promise<ConformanceServer<SupabaseWorld>> =>
    Promise.resolve({
      open: (name) => openSupabaseWorld({ storageUrl, ...supabaseKeys(jwtSecret) }, name),
      close: () => Promise.resolve(),
    });
  await runAllChecks({ server: 'storage-api', stage: 'compose', open, checks });
} else if (HOLDFAST_STAGE === 'docker' || HOLDFAST_STAGE === 'compose') {
  const stage = HOLDFAST_STAGE;
  const server = serverIn(image, { real: 'storage-api', own: 'own Supabase' });
  await runAllChecks({ server, stage, open: () => openOn(stage), checks });
}

test('Supabase Storage has at least thirty checks with distinct names', () => {
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  expect(checks.length).toBeGreaterThanOrEqual(30);
});

test('every listed divergence of a Supabase names a check', () => {
  const own = divergences.filter(({ server }) => ['own Supabase', 'storage-api'].includes(server));
  expect(idleDivergences(checks, own)).toEqual([]);
});

test('a divergence is accepted only with exactly the listed result', () => {
  const check = { name: 'a check', expected: 'ok' };
  const listed = { server: 'A', check: 'a check', verdict: 'no', reason: 'because' };
  expect(wantedFor(check, 'A', [])).toBe('ok');
  expect(wantedFor(check, 'B', [listed])).toBe('ok');
  expect(wantedFor(check, 'A', [listed])).toBe('no');
  const gone = { ...listed, check: 'a check of yesterday' };
  const idle = { ...listed, verdict: 'ok' };
  expect(idleDivergences([check], [listed, gone, idle])).toEqual([gone, idle]);
});
