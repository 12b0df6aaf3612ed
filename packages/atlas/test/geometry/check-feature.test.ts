import { expect, test } from '@jest/globals';
import { checkFeature } from '@holdfast/atlas';
import { polygon, square } from '../districts.ts';

const ring = square(-90, 40, 1);

test.each([
  ['not-a-feature', null],
  ['not-a-feature', { type: 'Polygon', coordinates: [ring] }],
  ['no-geometry', { type: 'Feature', geometry: null, properties: {} }],
  ['not-a-polygon', { type: 'Feature', geometry: { type: 'Point', coordinates: [0, 0] } }],
  ['no-rings', { type: 'Feature', geometry: { type: 'Polygon', coordinates: [] } }],
  ['no-rings', { type: 'Feature', geometry: { type: 'MultiPolygon', coordinates: [] } }],
  ['short-ring', polygon(1, ring.slice(0, 3))],
  ['open-ring', polygon(1, ring.slice(0, 4))],
  ['invalid-position', polygon(1, [...ring.slice(0, 4), [181, 40]])],
  ['invalid-position', polygon(1, [...ring.slice(0, 4), [-90, 91]])],
  ['invalid-position', polygon(1, [...ring.slice(0, 4), [Number.NaN, 40]])],
  ['no-area', polygon(1, [ring[0] ?? [], ring[1] ?? [], ring[0] ?? [], ring[0] ?? []])],
  [
    'around-a-pole',
    polygon(1, [
      [0, 80],
      [120, 80],
      [-120, 80],
      [0, 80],
    ]),
  ],
])('a feature is rejected as %s', (reason, feature) => {
  expect(checkFeature(feature)).toEqual({ kind: 'rejected', reason });
});

test('a sound district is taken as it is, with its hole', () => {
  const hole = square(-89.7, 40.3, 0.2).toReversed();
  const feature = polygon(7, ring, hole);
  expect(checkFeature(feature)).toEqual({ kind: 'district', feature, rewound: 0 });
});

test('rings that run the wrong way are turned round, and counted', () => {
  const hole = square(-89.7, 40.3, 0.2);
  const checked = checkFeature(polygon(7, ring.toReversed(), hole));
  expect(checked).toEqual({
    kind: 'district',
    feature: polygon(7, ring, hole.toReversed()),
    rewound: 2,
  });
});

test('a ring across the antimeridian keeps its direction', () => {
  const across: [number, number][] = [
    [170, 50],
    [-170, 50],
    [-170, 55],
    [170, 55],
    [170, 50],
  ];
  expect(checkFeature(polygon(1, across))).toMatchObject({ kind: 'district', rewound: 0 });
  expect(checkFeature(polygon(1, across.toReversed()))).toMatchObject({ rewound: 1 });
});
