import { type Exchange, OK, end, get, reset, send, wait } from './http-exchanges.ts';

const LONG = 'x'.repeat(300_000);

/** Exchanges that leave HTTP, or end in an unusual way, by what is special about each. */
export const endings: Readonly<Record<string, Exchange>> = {
  'a WebSocket': {
    client: [
      send(
        'GET /chat HTTP/1.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: x',
        '',
        '',
      ),
      wait('101'),
      send('\x81\x05hello'),
      wait('world'),
      send('\r\n\r\nGET / HTTP/1.1\r\n\r\n'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      send(
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        '',
        'frame',
      ),
      wait('hello'),
      send('\x81\x05world'),
      wait('GET / '),
      end,
    ],
  },
  'an upgrade that the server ignores': {
    client: [
      send(
        'GET / HTTP/1.1',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: x',
        '',
        '',
      ),
      wait('ok'),
      get,
      wait('k!'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      OK,
      wait('GET / '),
      send('HTTP/1.1 200 OK', 'Content-Length: 3', '', 'ok!'),
      end,
    ],
  },
  'a CONNECT': {
    client: [
      send('CONNECT db:5432 HTTP/1.1', 'Host: db:5432', '', ''),
      wait('200'),
      send('\0\0\0\x08\x04\xd2\x16/'),
      wait('S'),
      send('more'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      send('HTTP/1.1 200 Connection established', '', ''),
      wait('\x16/'),
      send('S'),
      wait('more'),
      end,
    ],
  },
  'a CONNECT that is refused': {
    client: [send('CONNECT db:5432 HTTP/1.1', '', ''), wait('no'), get, wait('ok'), end],
    server: [
      wait('\r\n\r\n'),
      send('HTTP/1.1 403 Forbidden', 'Content-Length: 2', '', 'no'),
      wait('GET'),
      OK,
      end,
    ],
  },
  'HTTP/2 with prior knowledge': {
    client: [
      send('PRI * HTTP/2.0', '', 'SM', '', '\0\0\0\x04\0\0\0\0\0'),
      wait('\x04'),
      send('\0\0\0\x01'),
      wait('\x07'),
      end,
    ],
    server: [wait('SM'), send('\0\0\0\x04\0\0\0\0\0'), wait('\x01'), send('\0\0\0\x07'), end],
  },
  'what is no HTTP': {
    client: [send('PING', ''), wait('PONG'), send('QUIT', ''), end],
    server: [wait('PING'), send('+PONG', ''), wait('QUIT'), end],
  },
  'an answer that is no HTTP': {
    client: [get, wait('SSH'), end],
    server: [wait('GET'), send('SSH-2.0-OpenSSH_9.6', '', 'x'), end],
  },
  'a large body each way': {
    client: [send('PUT / HTTP/1.1', `Content-Length: ${LONG.length}`, '', LONG), wait(LONG), end],
    server: [wait(LONG), send('HTTP/1.1 200 OK', `Content-Length: ${LONG.length}`, '', LONG), end],
  },
  'a client that ends before its answer': {
    client: [get, end, wait('ok')],
    server: [wait('GET'), { await: 'END' }, OK, end],
  },
  'a server that ends in a body': {
    client: [get, wait('half'), wait('END'), end],
    server: [wait('GET'), send('HTTP/1.1 200 OK', 'Content-Length: 10', '', 'half'), end],
  },
  'a server that ends in a chunk and in a head': {
    client: [get, wait('ab'), wait('END'), end],
    server: [
      wait('GET'),
      send('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '5', 'ab'),
      end,
    ],
  },
  'a server that ends in its head': {
    client: [get, wait('X-Ha'), wait('END'), end],
    server: [wait('GET'), send('HTTP/1.1 200 OK', 'X-Ha'), end],
  },
  'a server that resets in a body': {
    client: [get, wait('half')],
    server: [
      wait('GET'),
      send('HTTP/1.1 200 OK', 'Content-Length: 10', '', 'half'),
      wait('RESET'),
      reset,
    ],
  },
  'a client that ends in its head': {
    client: [send('GET / HTTP/1.1', 'Ho'), end, wait('400')],
    server: [wait('END'), send('HTTP/1.1 400 Bad Request', 'Content-Length: 0', '', ''), end],
  },
  'an answer before the request has ended': {
    client: [
      send('POST / HTTP/1.1', 'Content-Length: 9', '', 'begin'),
      wait('413'),
      send('rest'),
      end,
    ],
    server: [
      wait('begin'),
      send('HTTP/1.1 413 Too Large', 'Content-Length: 0', '', ''),
      wait('rest'),
      end,
    ],
  },
  'a server that speaks first': {
    client: [wait('408'), end],
    server: [
      send('HTTP/1.1 408 Request Timeout', 'Connection: close', 'Content-Length: 0', '', ''),
      end,
    ],
  },
  'lines that end with LF only': {
    client: [{ send: 'GET / HTTP/1.1\nHost: a\n\n' }, wait('ok'), end],
    server: [wait('\n\n'), { send: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok' }, end],
  },
  'an empty line before a request': {
    client: [send('', 'GET / HTTP/1.1', '', ''), wait('ok'), end],
    server: [wait('/1.1\r\n\r\n'), OK, end],
  },
  'a chunked body with a malformed size': {
    client: [
      send('POST / HTTP/1.1', 'Transfer-Encoding: chunked', '', 'zz', 'abc', '0', '', ''),
      wait('400'),
      end,
    ],
    server: [wait('abc'), send('HTTP/1.1 400 Bad Request', 'Content-Length: 0', '', ''), end],
  },
  'two lengths, and a coding beside a length': {
    client: [
      send(
        'POST / HTTP/1.1',
        'Content-Length: 3',
        'Transfer-Encoding: gzip, chunked',
        '',
        '3',
        'abc',
        '0',
        '',
        '',
      ),
      wait('ok'),
      end,
    ],
    server: [wait('0\r\n\r\n'), OK, end],
  },
};
