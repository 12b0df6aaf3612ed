/** Writes `fixtures/boundaries/districts.json` anew: `node packages/emulators/test/atlas/record-boundaries.ts`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { portalDistricts } from '../../src/atlas.ts';

const path = fileURLToPath(
  new URL('../../../../fixtures/boundaries/districts.json', import.meta.url),
);
const features = portalDistricts('WI', 'congressional', { count: 12, seed: 1, broken: 4 });
writeFileSync(path, `${JSON.stringify({ type: 'FeatureCollection', features }, undefined, 1)}\n`);
