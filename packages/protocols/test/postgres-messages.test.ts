import { expect, test } from '@jest/globals';
import {
  HEAD_BYTES,
  FrontendDecoder,
  MessageReader,
  authenticationOk,
  backendKeyData,
  commandComplete,
  dataRow,
  errorResponse,
  parameterStatus,
  parseDataRow,
  parseErrorResponse,
  readyForQuery,
  rowDescription,
  runOnce,
  simpleQuery,
  startup,
  stringsOf,
  sync,
  terminate,
} from '@holdfast/protocols/postgres';

/** What a client reads of these bytes: the type and the body of each message. */
function messagesIn(...sent: readonly Buffer[]): { type: string; body: Buffer }[] {
  const reader = new MessageReader(1_024, () => true);
  return [...reader.read(Buffer.concat(sent))].flatMap((segment) =>
    segment.kind === 'message'
      ? [{ type: segment.type, body: segment.bytes.subarray(HEAD_BYTES) }]
      : [],
  );
}

test('the messages of a server have the bytes of the protocol', () => {
  const columns = [{ name: 'id', typeId: 23 }];
  const sent = messagesIn(
    authenticationOk,
    parameterStatus('server_version', '18'),
    backendKeyData(7, 9),
    rowDescription(columns),
    commandComplete('SELECT 1'),
    readyForQuery('T'),
  );
  expect(sent.map(({ type, body }) => [type, body.toString('hex')])).toEqual([
    ['R', '00000000'],
    ['S', Buffer.from('server_version\x0018\0').toString('hex')],
    ['K', '0000000700000009'],
    // Without a table, as text.
    ['T', '000169640000000000000000000017ffffffffffff0000'],
    ['C', Buffer.from('SELECT 1\0').toString('hex')],
    ['Z', '54'],
  ]);
});

test('a row is read as it was written: text, empty text and null', () => {
  const values = ['café', '', null];
  const [row] = messagesIn(dataRow(values));
  expect(row?.type).toBe('D');
  expect(parseDataRow(row?.body ?? Buffer.alloc(0))).toEqual(values);
});

test('a row that is cut is an error of the protocol', () => {
  const [row] = messagesIn(dataRow(['four']));
  expect(() => parseDataRow(row?.body.subarray(0, -1) ?? Buffer.alloc(0))).toThrow('Postgres');
});

test('an error has its code and its message, and its detail and hint where it has them', () => {
  const error = { severity: 'FATAL', sqlState: '57P01', message: 'terminating' } as const;
  const [plain] = messagesIn(errorResponse(error));
  expect(parseErrorResponse(plain?.body ?? Buffer.alloc(0))).toEqual({
    sqlState: '57P01',
    message: 'terminating',
  });
  const [full] = messagesIn(errorResponse({ ...error, detail: 'why', hint: 'how' }));
  const text = full?.body.toString() ?? '';
  expect(text).toContain('\0Dwhy\0Hhow\0');
  expect(text.startsWith('SFATAL\0VFATAL\0C57P01\0')).toBe(true);
  expect(parseErrorResponse(Buffer.from('\0'))).toEqual({ sqlState: '', message: '' });
});

test('what a client writes is what a server reads', () => {
  const decoder = new FrontendDecoder(1_024);
  const sent = Buffer.concat([
    startup({ user: 'test', database: 'esim' }),
    simpleQuery('select 1'),
    runOnce('s1', 'select 2'),
    sync,
    terminate,
  ]);
  expect(decoder.push(sent)).toEqual([
    { kind: 'startup', parameters: { user: 'test', database: 'esim' } },
    { kind: 'query', sql: 'select 1' },
    { kind: 'parse', statement: 's1', sql: 'select 2' },
    { kind: 'bind', portal: 's1', statement: 's1', values: [] },
    { kind: 'execute', portal: 's1' },
    { kind: 'close', of: 'statement', name: 's1' },
    { kind: 'sync' },
    { kind: 'terminate' },
  ]);
});

test('the strings at the start of a body are read, as many as there are', () => {
  const [status] = [...new MessageReader(64, () => true).read(parameterStatus('a', 'b'))];
  expect(stringsOf(status?.bytes ?? Buffer.alloc(0), 2)).toEqual(['a', 'b']);
  expect(stringsOf(status?.bytes ?? Buffer.alloc(0), 5)).toEqual(['a', 'b']);
});
