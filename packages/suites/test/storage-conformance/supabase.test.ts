import { expect, test } from '@jest/globals';
import { openStage, supabaseKeys } from '@holdfast/stage';
import { divergences } from './divergences.ts';
import { type Ground, judgeAll, serverIn } from './conformance-servers.ts';
import { type Check, idleDivergences, wantedFor } from './run-checks.ts';
import { supabaseAccessChecks } from './supabase-access-checks.ts';
import { supabaseObjectChecks } from './supabase-object-checks.ts';
import { type SupabaseWorld, openSupabaseWorld } from './supabase-world.ts';

const checks: readonly Check<SupabaseWorld>[] = [...supabaseObjectChecks, ...supabaseAccessChecks];

async function openOn(mode: 'local' | 'docker' | 'compose'): Promise<Ground<SupabaseWorld>> {
  const stage = await openStage({ mode, supabase: true });
  const { supabase } = stage;
  return { open: (name) => openSupabaseWorld(supabase, name), close: () => stage.close() };
}

await judgeAll({ server: 'own Supabase', stage: 'local', open: () => openOn('local'), checks });

const {
  HOLDFAST_STAGE,
  HOLDFAST_SUPABASE_STORAGE_URL: address,
  HOLDFAST_IMAGE_SUPABASE_STORAGE: image,
} = process.env;
if (address !== undefined) {
  // One that stands already, wherever that is.
  const jwtSecret = process.env['HOLDFAST_SUPABASE_JWT_SECRET'] ?? '';
  const storageUrl = address;
  const open = (): Promise<Ground<SupabaseWorld>> =>
    Promise.resolve({
      open: (name) => openSupabaseWorld({ storageUrl, ...supabaseKeys(jwtSecret) }, name),
      close: () => Promise.resolve(),
    });
  await judgeAll({ server: 'storage-api', stage: 'compose', open, checks });
} else if (HOLDFAST_STAGE === 'docker' || HOLDFAST_STAGE === 'compose') {
  const stage = HOLDFAST_STAGE;
  const server = serverIn(image, { real: 'storage-api', own: 'own Supabase' });
  await judgeAll({ server, stage, open: () => openOn(stage), checks });
}

test('Supabase Storage is judged by at least thirty checks, each of its own name', () => {
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  expect(checks.length).toBeGreaterThanOrEqual(30);
});

test('every divergence of a Supabase that is listed is one of a check', () => {
  const own = divergences.filter(({ server }) => ['own Supabase', 'storage-api'].includes(server));
  expect(idleDivergences(checks, own)).toEqual([]);
});

test('a divergence counts only while it is listed, and only as it is listed', () => {
  const check = { name: 'a check', expected: 'ok' };
  const listed = { server: 'A', check: 'a check', verdict: 'no', reason: 'because' };
  expect(wantedFor(check, 'A', [])).toBe('ok');
  expect(wantedFor(check, 'B', [listed])).toBe('ok');
  expect(wantedFor(check, 'A', [listed])).toBe('no');
  const gone = { ...listed, check: 'a check of yesterday' };
  const idle = { ...listed, verdict: 'ok' };
  expect(idleDivergences([check], [listed, gone, idle])).toEqual([gone, idle]);
});
