import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Bundle, CatalogRowsRejectedError, createCatalogClient } from '@holdfast/catalog';
import { collect } from './collect.ts';
import { type Row, ScriptedApi, row, rows } from './scripted-api.ts';

/** What becomes of one row among 99 that are valid. */
async function fetchOne(fields: unknown): Promise<{ bundle?: Bundle; reasons: readonly string[] }> {
  const clock = createFakeClock();
  const sent = [fields, ...rows(99, 1)];
  const api = new ScriptedApi({ clock, groups: { g: sent } });
  const client = createCatalogClient({ apiKey: 'key', fetch: api.fetch, clock, perPage: [100] });
  const { items } = await clock.settle(collect(client));
  const page = items.find((item) => item.kind === 'page');
  const end = items.find((item) => item.kind === 'fetched');
  const reasons = Object.keys(end?.rejections.reasons ?? {});
  if (reasons.length > 0) return { reasons };
  const bundle = page?.bundles?.[0];
  return bundle === undefined ? { reasons } : { bundle, reasons };
}

const country = { name: 'Germany', region: 'Europe', iso: 'DE' };
const without = (field: string): Row => {
  const { [field]: _, ...others } = row(0);
  return others;
};
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe('a row is rejected, and counted under its reason', () => {
  test.each<[string, unknown, string]>([
    ['no object', 'bundle', ''],
    ['null', null, ''],
    ['an array', [], ''],
    ['no name', without('name'), 'name'],
    ['an empty name', row(0, { name: '' }), 'name'],
    ['a number as its name', row(0, { name: 7 }), 'name'],
    ['a name that is too long', row(0, { name: 'x'.repeat(201) }), 'name'],
    ['a line break in its name', row(0, { name: 'a\nb' }), 'name'],
    ['a NUL in its name', row(0, { name: 'a\0b' }), 'name'],
    ['half a character in its name', row(0, { name: 'a\ud800' }), 'name'],
    ['a name that runs backwards', row(0, { name: 'a\u202eb' }), 'name'],
    ['no price', without('price'), 'price'],
    ['a price that is NaN', row(0, { price: Number.NaN }), 'price'],
    ['a price in words', row(0, { price: '1.50' }), 'price'],
    ['a negative price', row(0, { price: -0.01 }), 'price'],
    ['a price above what whole numbers hold', row(0, { price: 2 ** 53 }), 'price'],
    ['no duration', without('duration'), 'duration'],
    ['a duration of nothing', row(0, { duration: 0 }), 'duration'],
    ['half a day', row(0, { duration: 0.5 }), 'duration'],
    ['no amount of data, and not unlimited', without('dataAmount'), 'dataAmount'],
    ['a negative amount', row(0, { dataAmount: -1 }), 'dataAmount'],
    ['an absurd amount', row(0, { dataAmount: 1e15 }), 'dataAmount'],
    ['an amount in words', row(0, { unlimited: true, dataAmount: '1 GB' }), 'dataAmount'],
    ['unlimited in words', row(0, { unlimited: 'yes' }), 'unlimited'],
    ['no countries', without('countries'), 'countries'],
    ['an empty list of countries', row(0, { countries: [] }), 'countries'],
    ['countries that are no objects', row(0, { countries: ['DE'] }), 'countries'],
    ['an unknown country', row(0, { countries: [{ ...country, iso: 'XX' }] }), 'countries.iso'],
    ['a code that is none', row(0, { countries: [{ ...country, iso: '<b>' }] }), 'countries.iso'],
    ['a country without a name', row(0, { countries: [{ iso: 'DE' }] }), 'countries.name'],
    [
      'a region that is no text',
      row(0, { countries: [{ ...country, region: 1 }] }),
      'countries.region',
    ],
    [
      'too many countries',
      row(0, { countries: Array.from({ length: 501 }, () => country) }),
      'countries',
    ],
    ['a description that is no text', row(0, { description: {} }), 'description'],
    ['groups that are no list', row(0, { groups: 'g' }), 'groups'],
    ['roaming that is no list', row(0, { roamingEnabled: 7 }), 'roamingEnabled'],
    ['a NUL in its description', row(0, { description: 'a\0b' }), 'description'],
    ['half a character in its groups', row(0, { groups: ['\ud800'] }), 'groups'],
    ['a NUL in any field', row(0, { note: 'a\0b' }), ''],
    ['half a character in any field', row(0, { note: ['\udc00'] }), ''],
    ['an absurd size', row(0, { note: 'x'.repeat(70_000) }), ''],
    ['an absurd depth', row(0, { note: nested(500) }), ''],
    ['a key that changes what it inherits', JSON.parse('{"__proto__":{}}'), 'name'],
    [
      'such a key in a valid row',
      Object.defineProperty(row(0), '__proto__', { value: {}, enumerable: true }),
      '',
    ],
  ])('with %s', async (_, sent, field) => {
    const { bundle, reasons } = await fetchOne(sent);
    expect(bundle).toBeUndefined();
    expect(reasons).toHaveLength(1);
    expect(reasons[0]?.split(':')[0]).toBe(field);
  });
});

describe('a row is taken, in its one form', () => {
  test.each<[string, Row, object]>([
    [
      'with unknown fields, as they are',
      { speed: ['5G'], x: { y: [1] } },
      { speed: ['5G'], x: { y: [1] } },
    ],
    [
      'unlimited by its amount',
      { unlimited: undefined, dataAmount: -1 },
      { unlimited: true, dataAmount: -1 },
    ],
    [
      'unlimited without an amount',
      { unlimited: true, dataAmount: null },
      { unlimited: true, dataAmount: -1 },
    ],
    ['limited without saying so', { unlimited: null }, { unlimited: false, dataAmount: 1_000 }],
    ['for nothing', { price: 0 }, { price: 0 }],
    ['priced in a currency of small units', { price: 4_500_000_000 }, { price: 4_500_000_000 }],
    [
      'with a code in lower case',
      { countries: [{ ...country, iso: 'de' }] },
      { countries: [country] },
    ],
    [
      'with the code of a region',
      { countries: [{ name: 'Balkans', region: null, iso: 'RGBS' }] },
      { countries: [{ name: 'Balkans', region: '', iso: 'RGBS' }] },
    ],
    [
      'with codes for roaming',
      { roamingEnabled: ['fr'] },
      { roamingEnabled: [{ name: 'fr', region: '', iso: 'FR' }] },
    ],
    ['with emoji and other scripts', { name: 'esim_Ελλάδα_🇬🇷' }, { name: 'esim_Ελλάδα_🇬🇷' }],
  ])('%s', async (_, fields, expected) => {
    const { bundle } = await fetchOne(row(0, fields));
    expect(bundle).toMatchObject(expected);
  });

  test.each([true, false, null])('without a list where roamingEnabled is %s', async (value) => {
    const { bundle } = await fetchOne(
      row(0, { roamingEnabled: value, description: null, groups: null }),
    );
    expect(bundle).toBeDefined();
    expect(Object.keys(bundle ?? {})).not.toContain('roamingEnabled');
    expect(bundle?.description).toBeUndefined();
  });
});

test.each([String.raw`"\u005f_proto__":{}`, String.raw`"a":"\u0000"`, String.raw`"a":"\uD800"`])(
  'what is hidden by an escape is found: %s',
  async (hidden) => {
    const clock = createFakeClock();
    const sent = JSON.stringify({ bundles: rows(100), rows: 100 }).replace(
      '{"name"',
      `{${hidden},"name"`,
    );
    const api = new ScriptedApi({
      clock,
      instead: ({ page, path }) =>
        path.endsWith('groups') || page !== 1 ? undefined : new Response(sent),
    });
    const client = createCatalogClient({ apiKey: 'key', fetch: api.fetch, clock, perPage: [100] });
    const { items } = await clock.settle(collect(client));
    expect(items.at(-1)).toMatchObject({ kind: 'fetched', rows: 99, rejections: { rejected: 1 } });
  },
);

test('two rows of a page with one name are one bundle; the second is rejected', async () => {
  const same = await fetchOne(row(1));
  const other = await fetchOne(row(1, { price: 99 }));
  expect(same.reasons).toEqual(['name: only once']);
  expect(other.reasons).toEqual(['name: only once, and came with other content']);
});

test('a field that this version does not know is named in the sample, and not counted by its name', async () => {
  const clock = createFakeClock();
  const sent = [row(0, { note: ['a\0b'] }), row(1, { note: nested(500) }), ...rows(200, 2)];
  const api = new ScriptedApi({ clock, groups: { g: sent } });
  const client = createCatalogClient({ apiKey: 'key', fetch: api.fetch, clock, perPage: [300] });
  const { items } = await clock.settle(collect(client));
  expect(items.at(-1)).toMatchObject({
    kind: 'fetched',
    rejections: {
      reasons: { ': text without NUL': 1, ': at most 12 levels': 1 },
      samples: [
        { field: '', permitted: 'text without NUL', seen: 'other in "note"' },
        { field: '', permitted: 'at most 12 levels', seen: 'more in "note"' },
      ],
    },
  });
});

describe('a group fails', () => {
  const fetchWith = async (broken: number) => {
    const clock = createFakeClock();
    const sent = [...rows(200 - broken), ...rows(broken, 500, { price: -1 })];
    const api = new ScriptedApi({ clock, groups: { g: sent } });
    const client = createCatalogClient({ apiKey: 'key', fetch: api.fetch, clock, perPage: [100] });
    return clock.settle(collect(client));
  };

  test('by more than 2 % of rejected rows, not by 2 %', async () => {
    const { items: kept } = await fetchWith(4);
    expect(kept.at(-1)).toMatchObject({ kind: 'fetched', rows: 196, rejections: { rejected: 4 } });
    const { items: lost } = await fetchWith(5);
    expect(lost.at(-1)).toMatchObject({ kind: 'failed', rejections: { rejected: 5 } });
    const { failed } = await fetchWith(5);
    expect(failed['g']).toBeInstanceOf(CatalogRowsRejectedError);
  });

  test('with a report that counts all, and shows ten', async () => {
    const { items } = await fetchWith(150);
    const end = items.at(-1);
    const report = end?.kind === 'failed' ? end.rejections : undefined;
    expect(report?.reasons).toEqual({ 'price: a number from 0 to 9007199254740991': 150 });
    expect(report?.samples).toHaveLength(10);
    expect(report?.samples[0]).toMatchObject({
      field: 'price',
      seen: '-1',
      name: 'esim_000500',
      row: 50,
    });
  });
});
