import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { expect, test } from '@jest/globals';
import { errorMessage, mayConnectLater } from '../../src/connection/sql-state.ts';
import { hostError, serverError } from '../pool/scripted-connection.ts';

/** Failures of name lookups, sockets, the network and this machine's resources: waited for. */
const transient = [
  'EAI_AGAIN EAI_FAIL EAI_MEMORY EAI_NODATA EAI_NONAME EAI_SYSTEM EAI_CANCELED ENOTFOUND ENODATA ESERVFAIL EREFUSED',
  'ETIMEOUT ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH ENETDOWN ENETRESET ENETUNREACH ENONET ENOTCONN',
  'EOF EPIPE EPROTO ESHUTDOWN ETIMEDOUT EADDRINUSE EADDRNOTAVAIL EAGAIN EALREADY EBUSY ECANCELED EINTR EIO EMFILE',
  'ENFILE ENOBUFS ENOMEM ENOSR EPERM ERR_SSL_UNEXPECTED_EOF_WHILE_READING ERR_SOCKET_CLOSED',
  'ERR_SOCKET_CLOSED_BEFORE_CONNECTION ERR_SOCKET_CONNECTION_TIMEOUT CONNECT_TIMEOUT CONNECT_CUT CONNECT_NO_TLS_NOW',
].flatMap((codes) => codes.split(' '));

/** Certificates, TLS settings and invalid arguments: waiting would not help. */
const final = [
  'CERT_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY ERR_TLS_CERT_ALTNAME_INVALID ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  'ERR_SSL_WRONG_VERSION_NUMBER ERR_INVALID_ARG_TYPE ERR_SOCKET_BAD_PORT NO_CHANNEL_BINDING ENOENT',
].flatMap((codes) => codes.split(' '));

test.each(transient)('%s at connecting is waited for', (code) => {
  expect(mayConnectLater(hostError(code))).toBe(true);
});

test.each(final)('%s at connecting is final', (code) => {
  expect(mayConnectLater(hostError(code))).toBe(false);
});

test('every code of the operating system is judged as the table says, and none is judged by chance', () => {
  const known = new Set(transient);
  const system = [...getSystemErrorMap().values()].map(([code]) => code);
  for (const code of new Set([...system, ...Object.keys(constants.errno)])) {
    expect([code, mayConnectLater(hostError(code))]).toEqual([code, known.has(code)]);
  }
});

/** By class, except where a whole code is given. */
const states: Readonly<Record<string, boolean>> = {
  '08000': true,
  '08001': true,
  '08003': true,
  '08004': true,
  '08006': true,
  '08P01': true,
  '0A000': false,
  '0L000': false,
  '0P000': false,
  '22023': false,
  '25006': true,
  '28000': false,
  '28P01': false,
  '3D000': false,
  '3F000': false,
  '42501': false,
  '42704': false,
  '53000': true,
  '53100': true,
  '53200': true,
  '53300': true,
  '53400': true,
  '55000': true,
  '55006': true,
  '57014': true,
  '57P01': true,
  '57P02': true,
  '57P03': true,
  '57P05': true,
  '58000': true,
  '58030': true,
  XX000: true,
  XX001: true,
};

test.each(Object.entries(states))(
  '%s in reply to the start-up is waited for: %s',
  (state, waits) => {
    expect(mayConnectLater(serverError(state))).toBe(waits);
  },
);

test('what has no code is final, and a code without a severity is no SQLSTATE', () => {
  expect(mayConnectLater(new Error('no code'))).toBe(false);
  expect(mayConnectLater('text')).toBe(false);
  expect(mayConnectLater(Object.assign(new Error('five'), { code: '53300' }))).toBe(false);
});

test('the message of an error has its code once, and the words of each address', () => {
  expect(errorMessage(hostError('ECONNREFUSED'))).toBe('ECONNREFUSED');
  const both = new AggregateError([hostError('EPIPE'), hostError('ENOMEM')], '');
  expect(errorMessage(Object.assign(both, { code: 'EPIPE' }))).toBe('EPIPE, ENOMEM');
  expect(errorMessage({})).toBe('an object');
  expect(errorMessage(null)).toBe('null');
});
