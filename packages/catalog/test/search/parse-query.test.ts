import { expect, test } from '@jest/globals';
import { InvalidQueryError, parseQuery, parseQueryString } from '@holdfast/catalog';

const errorOf = (parse: () => unknown): unknown => {
  try {
    return parse();
  } catch (error) {
    return error;
  }
};

test.each([
  ['an unknown filter', { countryCode: 'DE' }, 'countryCode'],
  ['a filter named like a part of every object', JSON.parse('{"__proto__": 1}'), '__proto__'],
  ['another such name', { constructor: 'x' }, 'constructor'],
  ['a query that is text', 'country=DE', 'options'],
  ['a query that is a list', [], 'options'],
  ['a price of NaN', { minPrice: Number.NaN }, 'minPrice'],
  ['an infinite price', { maxPrice: Infinity }, 'maxPrice'],
  ['a negative amount', { minDataMb: -1 }, 'minDataMb'],
  ['an amount as text', { minDataMb: '1000' }, 'minDataMb'],
  ['an amount of null', { maxDataMb: null }, 'maxDataMb'],
  ['reversed prices', { minPrice: 2, maxPrice: 1 }, 'minPrice'],
  ['reversed amounts', { minDataMb: 2, maxDataMb: 1.5 }, 'minDataMb'],
  ['reversed durations', { minDurationDays: 30, maxDurationDays: 7 }, 'minDurationDays'],
  ['an empty country', { country: '' }, 'country'],
  ['a country of 17 characters', { country: 'x'.repeat(17) }, 'country'],
  ['a country of an object', { country: { $ne: null } }, 'country'],
  ['text of 201 characters', { text: 'x'.repeat(201) }, 'text'],
  ['text of a list', { text: ['a'] }, 'text'],
  ['text of 13 words', { text: 'a b c d e f g h i j k l m' }, 'text'],
  ['an unknown order', { sort: 'toString' }, 'sort'],
  ['an unknown direction', { direction: 'up' }, 'direction'],
  ['half an offset', { offset: 0.5 }, 'offset'],
  ['a negative offset', { offset: -1 }, 'offset'],
  ['a limit over the highest', { limit: 1_001 }, 'limit'],
  ['an unknown facet', { facets: ['price'] }, 'facets'],
  ['facets as text', { facets: 'group' }, 'facets'],
  ['five facets', { facets: ['group', 'group', 'group', 'group', 'group'] }, 'facets'],
  ['unlimited as text', { unlimited: 'true' }, 'unlimited'],
])('%s is refused by name', (_, query, field) => {
  const error = errorOf(() => parseQuery(query));
  expect(error).toBeInstanceOf(InvalidQueryError);
  expect(error).toMatchObject({ code: 'CATALOG_QUERY_INVALID', field, retryable: false });
  expect(String(error)).toContain(field);
});

test('a query has its defaults, and a range may be one value', () => {
  expect(parseQuery({ minPrice: 1, maxPrice: 1, country: undefined })).toMatchObject({
    minPrice: 1,
    maxPrice: 1,
    country: undefined,
    sort: 'price',
    direction: 'ascending',
    offset: 0,
    limit: 20,
    facets: [],
  });
  expect(parseQuery(undefined)).toEqual(parseQuery({}));
});

test('an address has the same filters', () => {
  const address =
    'country=de&minDataMb=1000&maxPrice=9.99&unlimited=false&limit=5&facets=group,region&text=a%20b';
  expect(parseQueryString(new URLSearchParams(address))).toEqual(
    parseQuery({
      country: 'de',
      minDataMb: 1_000,
      maxPrice: 9.99,
      unlimited: false,
      limit: 5,
      facets: ['group', 'region'],
      text: 'a b',
    }),
  );
});

test.each([
  ['minPrice=', 'minPrice'],
  ['minPrice=1e3', 'minPrice'],
  ['minPrice=0x10', 'minPrice'],
  ['minPrice=-1', 'minPrice'],
  ['minPrice=%201', 'minPrice'],
  ['minPrice=NaN', 'minPrice'],
  ['minPrice=99999999999999999999', 'minPrice'],
  ['limit=1.5', 'limit'],
  ['unlimited=1', 'unlimited'],
  ['country=DE&country=FR', 'country'],
  ['facets=group,', 'facets'],
  ['__proto__=x', '__proto__'],
  ['country[]=DE', 'country[]'],
])('an address with %s is refused by name', (address, field) => {
  const error = errorOf(() => parseQueryString(new URLSearchParams(address)));
  expect(error).toBeInstanceOf(InvalidQueryError);
  expect(error).toMatchObject({ field });
});

test('an unknown filter is not repeated in the error, because it may be a secret', () => {
  expect(String(errorOf(() => parseQuery({ apiKey: 'hunter2' })))).not.toContain('hunter2');
});
