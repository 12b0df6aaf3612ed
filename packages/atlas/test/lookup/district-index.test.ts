import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type DistrictFeature, type LookupService, createLookupService } from '@holdfast/atlas';
import { grid, polygon, square } from '../districts.ts';

const serviceOf = (...features: DistrictFeature[]): LookupService =>
  createLookupService([{ state: 'AK', layer: 'congressional', features }]);
const found = async (service: LookupService, lat: number, lon: number): Promise<string[]> =>
  (await service.lookup(lat, lon)).districts.map(({ id }) => id);

test('a position is found in the district that contains it, and in no other', async () => {
  const service = createLookupService([grid(20, 10)]);
  expect(await found(service, 30.5, -99.5)).toEqual(['WI-congressional-0']);
  expect(await found(service, 33.25, -94.75)).toEqual(['WI-congressional-65']);
  expect(await found(service, 29.999, -99.5)).toEqual([]);
});

test('a hole is not part of its district', async () => {
  const service = serviceOf(polygon('ring', square(0, 0, 10), square(4, 4, 2).toReversed()));
  expect(await found(service, 5, 5)).toEqual([]);
  expect(await found(service, 3, 5)).toEqual(['AK-congressional-ring']);
});

test('each part of a multipolygon belongs to it', async () => {
  const service = serviceOf({
    ...polygon('islands'),
    geometry: {
      type: 'MultiPolygon',
      coordinates: [[square(0, 0, 1)], [square(5, 5, 2), square(5.5, 5.5, 1).toReversed()]],
    },
  });
  expect(await found(service, 0.5, 0.5)).toEqual(['AK-congressional-islands']);
  expect(await found(service, 5.25, 5.25)).toEqual(['AK-congressional-islands']);
  expect(await found(service, 6, 6)).toEqual([]);
  expect(await found(service, 3, 3)).toEqual([]);
});

test('a district across the antimeridian is found on both of its sides, and its hole is none of it', async () => {
  const across: [number, number][] = [
    [170, 50],
    [-170, 50],
    [-170, 55],
    [170, 55],
    [170, 50],
  ];
  const service = serviceOf(
    polygon('aleutians', across, square(-175, 52, 1).toReversed()),
    polygon('east', square(-170, 50, 5)),
  );
  expect(await found(service, 52.5, 179)).toEqual(['AK-congressional-aleutians']);
  expect(await found(service, 52.5, -179)).toEqual(['AK-congressional-aleutians']);
  for (const longitude of [180, -180]) {
    expect(await found(service, 52.5, longitude)).toEqual(['AK-congressional-aleutians']);
  }
  expect(await found(service, 52.5, -174.5)).toEqual([]);
  expect(await found(service, 52.5, -168)).toEqual(['AK-congressional-east']);
  expect(await found(service, 52.5, 0)).toEqual([]);
});

test('a district that is cut at the antimeridian has no gap there', async () => {
  const service = serviceOf({
    ...polygon('cut'),
    geometry: { type: 'MultiPolygon', coordinates: [[square(175, 0, 5)], [square(-180, 0, 5)]] },
  });
  for (const longitude of [180, -180, 179.9, -179.9]) {
    expect(await found(service, 2, longitude)).toEqual(['AK-congressional-cut']);
  }
});

test('on a common line both districts are found, and say so', async () => {
  const service = createLookupService([grid(2, 1)]);
  const { districts } = await service.lookup(30.5, -99);
  expect(districts.map(({ id, isOnBoundary }) => [id, isOnBoundary])).toEqual([
    ['WI-congressional-0', true],
    ['WI-congressional-1', true],
  ]);
});

test('an index finds what a scan of all districts finds', async () => {
  const random = seededRandom(7);
  const features = Array.from({ length: 300 }, (_, at) =>
    polygon(at, square(random() * 340 - 175, random() * 160 - 85, 1 + random() * 3)),
  );
  const service = serviceOf(...features);
  for (let turn = 0; turn < 3_000; turn += 1) {
    const [lat, lon] = [random() * 180 - 90, random() * 360 - 180];
    const scanned = features.flatMap(({ id, geometry }) => {
      const [[[west = 0, south = 0] = [], , [east = 0, north = 0] = []] = []] =
        geometry.type === 'Polygon' ? geometry.coordinates : [];
      const isInside = lon > west && lon < east && lat > south && lat < north;
      return isInside ? [`AK-congressional-${id}`] : [];
    });
    expect(await found(service, lat, lon)).toEqual(scanned.toSorted());
  }
});

test('an atlas without districts finds none; two districts of one id are refused', async () => {
  expect(await found(createLookupService([]), 0, 0)).toEqual([]);
  expect(() => serviceOf(polygon(1, square(0, 0, 1)), polygon(1, square(2, 2, 1)))).toThrow(
    'unique',
  );
});
