import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import type { ErrorClass } from '../../src/backend.ts';
import {
  classifyRedisError,
  isExistingGroup,
  isMissingGroup,
  isUnknownScript,
} from '../../src/redis/errors.ts';

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

test.each<[string, ErrorClass]>([
  ['LOADING Redis is loading the dataset in memory', 'busy'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'busy'],
  ['MISCONF Redis is configured to save RDB snapshots', 'busy'],
  ['NOREPLICAS Not enough good replicas to write.', 'busy'],
  ['CLUSTERDOWN The cluster is down', 'busy'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'busy'],
  ['BUSY Redis is busy running a script.', 'busy'],
  ['MASTERDOWN Link with MASTER is down', 'busy'],
  ["READONLY You can't write against a read only replica.", 'unreachable'],
  ['UNBLOCKED force unblock from blocking operation', 'unreachable'],
  ['MOVED 3999 127.0.0.1:6381', 'unreachable'],
  ['ASK 3999 127.0.0.1:6381', 'busy'],
  ['NOAUTH Authentication required.', 'denied'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'denied'],
  ['NOPERM this user has no permissions', 'denied'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', 'denied'],
  ['FENCED owner 2 has taken over from owner 1', 'fenced'],
  ['ERR something never seen before', 'denied'],
  ['ERR Error running script (call to f_ab): @user_script:12: OOM command not allowed', 'busy'],
])('the reply "%s" means %s', (message, errorClass) => {
  const error = classifyRedisError(reply(message));
  expect(error).toMatchObject({ code: 'QUEUE_BACKEND_FAILED', errorClass });
  expect(error.message).toContain(message);
});

test.each([
  [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })],
  [new Error('Connection is closed.')],
  ['not even an error'],
])('a value that is not a reply (%s) is a failure of the connection', (error) => {
  expect(classifyRedisError(error).errorClass).toBe('unreachable');
});

test('the replies that the code acts on are recognized by their codes', () => {
  expect(isUnknownScript(reply('NOSCRIPT No matching script.'))).toBe(true);
  expect(isMissingGroup(reply("NOGROUP No such key 'x' or consumer group 'y'"))).toBe(true);
  expect(isExistingGroup(reply('BUSYGROUP Consumer Group name already exists'))).toBe(true);
  expect(isMissingGroup(reply('ERR NOGROUP'))).toBe(false);
  expect(isUnknownScript(new Error('NOSCRIPT but not a reply'))).toBe(false);
});

test('an error of a command keeps its name, and neither its arguments nor addresses with passwords', () => {
  const rejected = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    name: 'ReplyError',
    command: { name: 'auth', args: ['user', 'sEcret'] },
  });
  const failure = classifyRedisError(rejected);
  expect(failure.cause).toMatchObject({ command: { name: 'auth' } });
  expect(inspect(failure, { depth: 10 })).not.toContain('sEcret');
  const url = Object.assign(new TypeError('Invalid URL: redis://u:sEcret@h'), {
    code: 'ERR_INVALID_URL',
    input: 'redis://u:sEcret@h',
  });
  expect(classifyRedisError(url).message).toBe('Redis: Invalid URL: redis://***@h');
});

test.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /certificate is not accepted.*NODE_EXTRA_CA_CERTS/u],
  ['SELF_SIGNED_CERT_IN_CHAIN', /certificate is not accepted/u],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /certificate is not accepted/u],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /certificate is not accepted/u],
  ['CERT_HAS_EXPIRED', /certificate is not accepted/u],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /certificate is not accepted/u],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /TLS handshake failed.*port speaks TLS/u],
])('%s is a problem of the certificate, for an operator, not an outage', (code, message) => {
  const error = Object.assign(new Error('seen by OpenSSL'), { code });
  expect(classifyRedisError(error)).toMatchObject({
    errorClass: 'denied',
    message: expect.stringMatching(message),
    cause: error,
  });
});

test.each(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EPROTO'])(
  '%s is an outage',
  (code) => {
    const error = Object.assign(new Error('seen by the socket'), { code });
    expect(classifyRedisError(error).errorClass).toBe('unreachable');
  },
);
