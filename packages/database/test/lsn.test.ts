import { expect, test } from '@jest/globals';
import type { QueryResult } from '../src/index.ts';
import {
  PositionReader,
  UNKNOWN_LSN,
  formatLsn,
  isLostBy,
  laterOf,
  parseLsn,
  parseToken,
  tokenFrom,
} from '../src/lsn.ts';

test.each([
  undefined,
  null,
  'a string',
  7,
  [],
  {},
  { timeline: 1 },
  { lsn: '0/1' },
  { timeline: '1', lsn: '0/1' },
  { timeline: -1, lsn: '0/1' },
  { timeline: 1.5, lsn: '0/1' },
  { timeline: 2 ** 53, lsn: '0/1' },
  { timeline: 1, lsn: 1 },
  { timeline: 1, lsn: 'nonsense' },
])('a token %p is refused by the name of its field', (token) => {
  expect(() => parseToken('query', 'after', token)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'after' }),
  );
});

test.each([0, 1, 2 ** 53 - 1])(
  'a token of timeline %i is taken as it is, and nothing else of it',
  (timeline) => {
    const token = { timeline, lsn: '16/B374D848' };
    expect(parseToken('query', 'after', { ...token, more: true })).toEqual(token);
  },
);

test.each([
  [undefined, true],
  [null, true],
  [{ lsn: '0/1' }, true],
  [{ timeline: '00000001' }, true],
  [{ timeline: '0000001', lsn: '0/1' }, true],
  [{ timeline: '0000000G', lsn: '0/1' }, true],
  [{ timeline: 1, lsn: '0/1' }, true],
  [{ timeline: '0000000A', lsn: 'nonsense' }, true],
  [{ timeline: '0000000A', lsn: '0/1' }, false],
])('a row %p is a position that cannot be told: %p', (row, isUnknown) => {
  const token = tokenFrom(row);
  expect(token).toEqual(isUnknown ? tokenFrom(undefined) : { timeline: 10, lsn: '0/1' });
});

test('the later of two positions: by the timeline, then by the number that the LSN is', () => {
  const at = (timeline: number, lsn: string): { timeline: number; lsn: string } => ({
    timeline,
    lsn,
  });
  const pairs = [
    [at(1, '0/9'), at(1, '0/10')],
    [at(1, '1/0'), at(1, 'A/0')],
    [at(1, 'F/0'), at(2, '0/1')],
  ] as const;
  for (const [early, late] of pairs) {
    expect(laterOf(early, late)).toEqual(late);
    expect(laterOf(late, early)).toEqual(late);
  }
  expect(laterOf(undefined, at(1, '0/1'))).toEqual(at(1, '0/1'));
  const unknown = tokenFrom(undefined);
  expect(laterOf(at(3, '0/1'), unknown)).toEqual({ timeline: 3, lsn: unknown.lsn });
  expect(laterOf(unknown, at(3, '0/1'))).toEqual({ timeline: 3, lsn: unknown.lsn });
});

test('a primary is asked for what it has written, a standby for what it has replayed, an unknown host for both', () => {
  const reader = new PositionReader();
  const [both, primary, standby] = [undefined, false, true].map((isStandby) =>
    reader.statements(isStandby),
  );
  expect(both).toHaveLength(2);
  expect(primary).toEqual([both?.[0]]);
  expect(standby).toEqual([both?.[1]]);
});

test.each([
  ['behind the start of a later timeline', 3, 2, '0/2019', 0x2018n, true],
  ['at its start', 3, 2, '0/2100', 0x2100n, false],
  ['before its start', 3, 2, '0/2100', 0x2101n, false],
  ['behind the header of a page that the timeline began with', 3, 2, '0/2018', 0x2000n, false],
  ['behind the header of a segment that it began with', 3, 2, '0/1000028', 0x1000000n, false],
  ['behind the header of a page, of a timeline that began before', 3, 2, '0/2018', 0x1fffn, true],
  ['behind the first record of a page', 3, 2, '0/2019', 0x2000n, true],
  ['on the same timeline', 3, 3, '0/2100', 0x1n, false],
  ['on a later one', 3, 4, '0/2100', 0x1n, false],
  ['without a timeline', 3, 0, '0/2100', 0x1n, false],
  ['not known', 3, 2, UNKNOWN_LSN.lsn, 0x1n, false],
  ['not an LSN', 3, 2, 'nonsense', 0x1n, false],
])('a token %s: timeline %i, token %i at %s, began at %p: lost is %p', (...row) => {
  const [, timeline, tokens, lsn, began, isLost] = row;
  expect(isLostBy({ timeline, began }, { timeline: tokens, lsn })).toBe(isLost);
});

test('a position is written as Postgres writes it', () => {
  for (const lsn of ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) {
    expect(formatLsn(parseLsn(lsn) ?? -1n)).toBe(lsn);
  }
});

const answered = (...rows: object[]): PromiseSettledResult<QueryResult> => ({
  status: 'fulfilled',
  value: { rows, rowCount: rows.length, command: '', fields: [] },
});

const refused = (code: string): PromiseSettledResult<QueryResult> => {
  const cause = Object.assign(new Error(`denied with ${code}`), { code, severity: 'ERROR' });
  return { status: 'rejected', reason: new Error('failed', { cause }) };
};

test('the position is that of the statement which answers with a row', () => {
  const reader = new PositionReader();
  const both = reader.statements();
  const row = { lsn: '0/20', timeline: '00000002' };
  const token = { timeline: 2, lsn: '0/20' };
  expect(reader.read(both, [answered({ ...row, recovered: '0/10' }), answered()])).toEqual({
    token,
    position: 0x20n,
    recovered: 0x10n,
  });
  const standby = { token, position: 0x20n, recovered: undefined };
  expect(reader.read(both, [answered(), answered(row)])).toEqual(standby);
  expect(reader.read(both, [answered(), answered()])).toBeUndefined();
  expect(reader.read(both, [answered({ lsn: '0/20' }), answered()])).toBeUndefined();
});

test('what the server may not be asked is replaced by what asks for fewer rights, then not asked again', () => {
  const reader = new PositionReader();
  const [primary] = reader.statements(false);
  const [standby] = reader.statements(true);
  expect(reader.read(reader.statements(), [refused('42501'), answered()])).toBeUndefined();
  expect(reader.refusal).toBe('denied with 42501');
  expect(reader.statements(true)).toEqual([standby]);
  const [lesser] = reader.statements(false);
  expect(lesser).not.toEqual(primary);
  reader.read([lesser ?? { text: '' }], [refused('0A000')]);
  expect(reader.statements(false)).toEqual([]);

  const texts = new Set([standby?.text]);
  for (let variants = 0; variants < 3; variants += 1) {
    const asked = reader.statements(true);
    for (const { text } of asked) texts.add(text);
    reader.read(asked, [refused('42883')]);
  }
  expect(texts.size).toBe(3);
  expect(reader.statements()).toEqual([]);
});

test('an error that is no refusal changes nothing, and a position that is found ends a refusal', () => {
  const reader = new PositionReader();
  const both = reader.statements();
  reader.read(both, [refused('57014'), { status: 'rejected', reason: 'cut' }]);
  expect([reader.refusal, reader.statements()]).toEqual([undefined, both]);
  reader.read(both, [answered(), refused('42501')]);
  expect(reader.refusal).toBe('denied with 42501');
  expect(reader.statements(false)).toEqual([both[0]]);
  reader.read(both, [answered({ lsn: '0/1', timeline: '00000001' })]);
  expect(reader.refusal).toBeUndefined();
});
