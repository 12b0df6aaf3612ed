/** One side's part: bytes it sends, or the bytes it waits for before it goes on. */
export type Step = { send: string } | { await: string } | { end: true } | { reset: true };
export const send = (...lines: string[]): Step => ({ send: lines.join('\r\n') });
export const wait = (text: string): Step => ({ await: text });
export const end: Step = { end: true };
export const reset: Step = { reset: true };

/** What both sides of one connection do. */
export interface Exchange {
  readonly client: readonly Step[];
  readonly server: readonly Step[];
}

export const OK = send('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok');
export const get = send('GET / HTTP/1.1', 'Host: a', '', '');

/** Exchanges that pass a proxy unchanged, by what is special about each. */
export const exchanges: Readonly<Record<string, Exchange>> = {
  'a GET': { client: [get, wait('ok'), end], server: [wait('\r\n\r\n'), OK, end] },
  'a GET with a body': {
    client: [send('GET / HTTP/1.1', 'Content-Length: 4', '', 'body'), wait('ok'), end],
    server: [wait('body'), OK, end],
  },
  'a chunked DELETE': {
    client: [
      send('DELETE /a HTTP/1.1', 'Transfer-Encoding: chunked', '', '3', 'abc', '0', '', ''),
      wait('ok'),
      end,
    ],
    server: [wait('0\r\n\r\n'), OK, end],
  },
  'a chunked OPTIONS with an extension and a trailer': {
    client: [
      send(
        'OPTIONS * HTTP/1.1',
        'TRANSFER-ENCODING: Chunked',
        'Trailer: X-Sum',
        '',
        '03;ext="a;b"',
        'abc',
        '0',
        'X-Sum: 7',
        '',
        '',
      ),
      wait('ok'),
      end,
    ],
    server: [wait('X-Sum: 7\r\n\r\n'), OK, end],
  },
  'a chunk in two pieces': {
    client: [
      send('POST / HTTP/1.1', 'Transfer-Encoding: chunked', '', 'a', '01234'),
      wait('HTTP/1.1 100'),
      send('56789', '0', '', ''),
      wait('ok'),
      end,
    ],
    server: [wait('01234'), send('HTTP/1.1 100 Continue', '', ''), wait('0\r\n\r\n'), OK, end],
  },
  'a HEAD': {
    client: [send('HEAD / HTTP/1.1', '', ''), wait('\r\n\r\n'), get, wait('ok'), end],
    server: [
      wait('\r\n\r\n'),
      send('HTTP/1.1 200 OK', 'Content-Length: 1000', '', ''),
      wait('GET'),
      OK,
      end,
    ],
  },
  'a 204 and a 304 between others': {
    client: [get, wait('204'), get, wait('304'), get, wait('ok'), end],
    server: [
      wait('GET'),
      send('HTTP/1.1 204 No Content', '', ''),
      wait('GET'),
      send('HTTP/1.1 304 Not Modified', 'Content-Length: 99', 'ETag: "x"', '', ''),
      wait('GET'),
      OK,
      end,
    ],
  },
  '100-continue': {
    client: [
      send('PUT / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 4', '', ''),
      wait('100 Continue\r\n\r\n'),
      send('body'),
      wait('ok'),
      end,
    ],
    server: [wait('\r\n\r\n'), send('HTTP/1.1 100 Continue', '', ''), wait('body'), OK, end],
  },
  '417 in place of a 100': {
    client: [
      send('PUT / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 4', '', ''),
      wait('417'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      send('HTTP/1.1 417 Expectation Failed', 'Connection: close', 'Content-Length: 0', '', ''),
      end,
    ],
  },
  '102 and 103 before the response': {
    client: [get, wait('ok'), end],
    server: [
      wait('GET'),
      send('HTTP/1.1 102 Processing', '', ''),
      send('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload', 'Link: </b.js>', '', ''),
      OK,
      end,
    ],
  },
  'a reason phrase of its own, and none': {
    client: [get, wait('200'), get, wait('ok'), end],
    server: [
      wait('GET'),
      send('HTTP/1.1 299 Tout va bien, \xe9t\xe9', 'Content-Length: 3', '', '200'),
      wait('GET'),
      send('HTTP/1.1 200 ', 'Content-Length: 2', '', 'ok'),
      end,
    ],
  },
  'case, order and duplicates of fields': {
    client: [
      send(
        'GET / HTTP/1.1',
        'hOST: a',
        'X-b: 1',
        'x-A: 2',
        'X-B:3',
        'X-Empty:',
        'Cookie: a=1',
        'Cookie: b=2',
        '',
        '',
      ),
      wait('ok'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      send(
        'HTTP/1.1 200 OK',
        'set-COOKIE: a',
        'Set-Cookie: b',
        'X-Long:   spaces  ',
        'X-Latin: \xfc',
        'content-length: 2',
        '',
        'ok',
      ),
      end,
    ],
  },
  'connection fields that are for one hop': {
    client: [
      send(
        'GET / HTTP/1.1',
        'Connection: keep-alive, X-Hop',
        'Keep-Alive: timeout=7',
        'X-Hop: 1',
        'TE: trailers',
        'Proxy-Authorization: x',
        '',
        '',
      ),
      wait('ok'),
      end,
    ],
    server: [
      wait('\r\n\r\n'),
      send(
        'HTTP/1.1 200 OK',
        'Connection: keep-alive',
        'Keep-Alive: timeout=3',
        'Content-Length: 2',
        '',
        'ok',
      ),
      end,
    ],
  },
  'a chunked response with a trailer': {
    client: [get, wait('X-Sum: 1\r\n\r\n'), get, wait('ok'), end],
    server: [
      wait('GET'),
      send(
        'HTTP/1.1 200 OK',
        'Transfer-Encoding: chunked',
        'Trailer: X-Sum',
        '',
        '5;a=b',
        'hello',
        '000',
        'X-Sum: 1',
        '',
        '',
      ),
      wait('GET'),
      OK,
      end,
    ],
  },
  'a response that ends with its connection': {
    client: [get, wait('the end'), wait('END'), end],
    server: [wait('GET'), send('HTTP/1.1 200 OK', '', 'up to the end'), end],
  },
  'a response of HTTP/1.0': {
    client: [send('GET / HTTP/1.0', '', ''), wait('old'), wait('END'), end],
    server: [wait('\r\n\r\n'), send('HTTP/1.0 200 OK', '', 'old'), end],
  },
  'HTTP/1.0 kept alive': {
    client: [
      send('GET /1 HTTP/1.0', 'Connection: keep-alive', '', ''),
      wait('ok'),
      send('GET /2 HTTP/1.0', '', ''),
      wait('2!'),
      end,
    ],
    server: [
      wait('/1'),
      send('HTTP/1.0 200 OK', 'Connection: keep-alive', 'Content-Length: 2', '', 'ok'),
      wait('/2'),
      send('HTTP/1.0 200 OK', 'Content-Length: 2', '', '2!'),
      end,
    ],
  },
  'a target in absolute form': {
    client: [
      send('GET http://elsewhere.invalid:81/a?b#c HTTP/1.1', 'Host: elsewhere.invalid', '', ''),
      wait('ok'),
      end,
    ],
    server: [wait('\r\n\r\n'), OK, end],
  },
  'requests sent together': {
    client: [
      send(
        'GET /1 HTTP/1.1',
        '',
        'POST /2 HTTP/1.1',
        'Content-Length: 3',
        '',
        'twoGET /3 HTTP/1.1',
        '',
        '',
      ),
      wait('3!'),
      end,
    ],
    server: [
      wait('/3 HTTP/1.1\r\n\r\n'),
      send(
        'HTTP/1.1 200 OK',
        'Content-Length: 2',
        '',
        '1!HTTP/1.1 200 OK',
        'Transfer-Encoding: chunked',
        '',
        '2',
        '2!',
        '0',
        '',
        'HTTP/1.1 200 OK',
        'Content-Length: 2',
        '',
        '3!',
      ),
      end,
    ],
  },
};
