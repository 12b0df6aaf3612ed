import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { redact } from '@holdfast/report';

test.each([
  ['redis://user:secret@host:6379/0', 'redis://***@host:6379/0'],
  ['redis://:secret@host', 'redis://***@host'],
  ['postgres://token@db.example/app', 'postgres://***@db.example/app'],
  ['redis://user:p@ss@host', 'redis://***@host'],
  ['redis://user:pa/ss#w?rd@host/0', 'redis://***@host/0'],
  ['redis://user:12/34@host', 'redis://***@host'],
  ['rediss+tls://a:b@one, https://c:d@two', 'rediss+tls://***@one, https://***@two'],
  ['HTTPS://A:B@HOST', 'HTTPS://***@HOST'],
  ['"redis://a:b@host"', '"redis://***@host"'],
  ['https://s3.example/a?X-Amz-Signature=abc&x=1', 'https://s3.example/a?X-Amz-Signature=***&x=1'],
  ['postgres://host/db?user=a&password=b', 'postgres://host/db?user=a&password=***'],
])('%s is shown as %s', (given, shown) => {
  expect(redact(given)).toBe(shown);
});

test.each([
  'redis://127.0.0.1:6379/0',
  'redis://[::1]:6379/0',
  'file:///srv/node_modules/.pnpm/@jest+core@30/index.js:12:3',
  'http://localhost:3000/@scope/name',
  'http://localhost:3000, then mail to a@example.org',
  'a@example.org and 12:30',
])('%s is left as it is', (text) => {
  expect(redact(text)).toBe(text);
});

test('a password of any alphabet is redacted, wherever the URL occurs', () => {
  const password = fc
    .string({ minLength: 1, maxLength: 40 })
    .filter((text) => !/[\s"'<>]/.test(text))
    .map((text) => `Q7${text}Z9`);
  fc.assert(
    fc.property(password, fc.string(), (secret, before) => {
      const shown = redact(`${before} redis://user:${secret}@host/0`);
      expect(shown.endsWith(' redis://***@host/0')).toBe(true);
    }),
    { seed: 7 },
  );
});

test('a long text without secrets costs milliseconds, not minutes', () => {
  for (const text of ['a'.repeat(200_000), 'a://:'.repeat(40_000), 'a://b?sig='.repeat(20_000)]) {
    const startedAt = performance.now();
    redact(text);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  }
});
