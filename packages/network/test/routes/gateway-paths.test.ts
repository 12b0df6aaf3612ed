import { expect, test } from '@jest/globals';
import { A, open, whole } from './gateway-fixtures.ts';

test.each([
  '/../secret',
  '/a/../../secret',
  '/..',
  '/.',
  '/a/./b',
  '/%2e%2e/secret',
  '/.%2E/secret',
  '/%2e/secret',
  '/..\\..\\s',
  '/a\\b',
  '/..%2fsecret',
  '/..%5Csecret',
  '/%252e%252e/secret',
  '/%25252e%25252e%25252fsecret',
  '/..;/secret',
  '/..%3bv=1/secret',
  '/..\u0001',
  '/.\t./secret',
  '//other.test/x',
  '/..?x',
])('the path %j, which leaves the URL of a gateway, is refused', async (path) => {
  const prefixed = { gateways: [`${A}/prefix`] };
  const { gateways, asked } = open({ [A]: whole() }, prefixed);
  await expect(gateways.download(path)).rejects.toMatchObject({ field: 'path' });
  await expect(gateways.stream(path).next()).rejects.toMatchObject({ field: 'path' });
  expect(asked).toEqual([]);
});

test.each([
  '/a..b',
  '/...',
  '/.well-known/x',
  '/a%2fb',
  '/x?to=/../y',
  '/%E2%80%A6;v=1',
  '/a;..',
  '/100%',
])('the path %j stays below the URL of a gateway', async (path) => {
  const { gateways, asked } = open({ [A]: whole() }, { gateways: [`${A}/prefix`] });
  await gateways.download(path);
  expect(new URL(asked[0]?.url ?? '').href).toBe(`${A}/prefix${path}`);
});
