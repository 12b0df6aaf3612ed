import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ScenarioRecord, record } from '@holdfast/report';
import { collectRecords } from '../src/collecting/collect.ts';
import { RECORDS_VARIABLE } from '../src/record.ts';
import { killedRedis } from './sample.ts';

const outer = process.env[RECORDS_VARIABLE];
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-record-'));
  process.env[RECORDS_VARIABLE] = directory;
});

afterEach(() => {
  if (outer === undefined) delete process.env[RECORDS_VARIABLE];
  else process.env[RECORDS_VARIABLE] = outer;
  rmSync(directory, { recursive: true, force: true });
});

test('the run collects exactly the recorded scenarios', () => {
  record(killedRedis);
  expect(collectRecords(directory)).toEqual({ scenarios: [killedRedis], unreadable: 0 });
});

test('outside a run with the reporter nothing is written, but a mistake is still rejected', () => {
  delete process.env[RECORDS_VARIABLE];
  record(killedRedis);
  expect(readdirSync(directory)).toEqual([]);
  expect(() => record({ ...killedRedis, family: '' })).toThrow('family');
});

test.each<[string, Partial<Record<keyof ScenarioRecord | 'color', unknown>>]>([
  ['stage', { stage: 'moon' }],
  ['lost', { lost: -1 }],
  ['accepted', { accepted: 1.5 }],
  ['recoveredAfterMs', { recoveredAfterMs: Number.NaN }],
  ['timeline.0.atMs', { timeline: [{ atMs: '3', event: 'killed' }] }],
  ['timeline', { timeline: Array.from({ length: 201 }, () => ({ atMs: 0, event: 'again' })) }],
  ['note', { note: 'x'.repeat(1_001) }],
  ['load.0.offered', { load: [{ atMs: 0, offered: -1, errors: 0 }] }],
  ['load', { load: Array.from({ length: 601 }, () => ({ atMs: 0, offered: 1, errors: 0 })) }],
  ['logs.0.server', { logs: [{ server: 1, text: '' }] }],
  ['decisions.0', { decisions: [1] }],
  ['versions.redis', { versions: { redis: 8 } }],
  ['color', { color: 'red' }],
])('a bad %s is rejected by name, and nothing is written', (field, fields) => {
  expect(() => record(Object.assign({ ...killedRedis }, fields))).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
  expect(readdirSync(directory)).toEqual([]);
});

test('terminal codes are removed, also where they split a URL, and of a long log the end is kept', () => {
  record({
    ...killedRedis,
    note: 'redis://user:\u001B[31mhunter2@h',
    logs: [{ server: 'redis', text: `${'x'.repeat(100_000)}the end` }],
  });
  const [scenario] = collectRecords(directory).scenarios;
  expect(scenario?.note).toBe('redis://***@h');
  expect(scenario?.logs?.[0]?.text).toHaveLength(20_000);
  expect(scenario?.logs?.[0]?.text).toMatch(/the end$/);
});

test('no credential of a record reaches the disk', () => {
  const url = 'redis://user:hunter2@127.0.0.1:6379/0';
  record({
    ...killedRedis,
    family: url,
    scenario: url,
    fault: url,
    note: `the link ${url} was cut`,
    server: url,
    kind: url,
    timeline: [{ atMs: 0, event: `cut ${url}` }],
    logs: [{ server: url, text: `\u001B[1m${url}` }],
    decisions: [`cut ${url}`],
    replay: `REDIS=${url} npm test`,
    versions: { redis: url },
  });
  const written = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  expect(written.join('')).toContain('redis://***@127.0.0.1');
  expect(written.join('')).not.toContain('hunter2');
});

test('a line cut short loses no other record', () => {
  record(killedRedis);
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  truncateSync(path, readFileSync(path).length - 40);
  record(killedRedis);
  expect(collectRecords(directory)).toEqual({ scenarios: [killedRedis], unreadable: 1 });
});

test('a record that cannot be written rejects with its cause', () => {
  process.env[RECORDS_VARIABLE] = join(directory, 'missing');
  expect(() => record(killedRedis)).toThrow(
    expect.objectContaining({
      code: 'REPORT_RECORD_NOT_WRITTEN',
      cause: expect.objectContaining({ code: 'ENOENT' }),
    }),
  );
});

test('the size of the records of one process is bounded', () => {
  writeFileSync(join(directory, `${process.pid}.jsonl`), Buffer.alloc(16 * 1024 * 1024));
  expect(() => record(killedRedis)).toThrow(
    expect.objectContaining({ code: 'REPORT_RECORD_NOT_WRITTEN' }),
  );
});
