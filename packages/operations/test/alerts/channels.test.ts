import { once } from 'node:events';
import { type IncomingHttpHeaders, type ServerResponse, createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import {
  type AlertNotification,
  pagerDutyChannel,
  slackChannel,
  smsChannel,
  webhookChannel,
} from '@holdfast/operations';
import { smtpChannel } from '@holdfast/operations/smtp';
import { listening } from '../listening.ts';

const notification: AlertNotification = {
  id: 'abc-1/page/1',
  incident: 'abc-1',
  kind: 'page',
  level: 'critical',
  title: 'Redis <is> down & out',
  atMs: 1_700_000_000_000,
  step: 0,
  labels: { alertname: 'RedisDown' },
  firing: 2,
  alerts: [{ name: 'RedisDown', summary: 'Redis <is> down & out' }],
};

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** A receiver on the loopback that answers as `answer` says. */
async function receiver(
  answer: (response: ServerResponse) => void,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString()),
      });
      answer(response);
    });
  });
  const { url } = await listening(server);
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `${url}/secret-path`, received };
}

const accept = (response: ServerResponse): void => void response.writeHead(202).end('{}');
const context = () => ({ signal: new AbortController().signal });

test('a webhook gets the notification and its id as the key against duplicates', async () => {
  const { url, received } = await receiver(accept);
  await webhookChannel({ url, headers: { authorization: 'Bearer x' } }).send(
    notification,
    context(),
  );
  expect(received[0]?.body).toEqual(notification);
  expect(received[0]?.headers).toMatchObject({
    'idempotency-key': 'abc-1/page/1',
    authorization: 'Bearer x',
  });
});

test('Slack gets text whose markup is escaped', async () => {
  const { url, received } = await receiver(accept);
  await slackChannel({ url }).send(notification, context());
  expect(received[0]?.body).toEqual({
    text: [
      '*[CRITICAL] Redis &lt;is&gt; down &amp; out (2 alerts) abc-1*',
      '• RedisDown: Redis &lt;is&gt; down &amp; out',
    ].join('\n'),
  });
});

test('PagerDuty gets one incident: the trigger and its end have the same key', async () => {
  const { url, received } = await receiver(accept);
  const channel = pagerDutyChannel({ routingKey: 'r'.repeat(32), url });
  await channel.send(notification, context());
  await channel.send({ ...notification, kind: 'resolved', id: 'abc-1/resolved/2' }, context());
  expect(received.map(({ body }) => body)).toEqual([
    expect.objectContaining({
      event_action: 'trigger',
      dedup_key: 'abc-1',
      payload: expect.objectContaining({ severity: 'critical', source: 'holdfast' }),
    }),
    { routing_key: 'r'.repeat(32), event_action: 'resolve', dedup_key: 'abc-1' },
  ]);
});

test.each([
  [400, {}, { retryable: false, status: 400 }],
  [401, {}, { retryable: false, status: 401 }],
  [429, { 'retry-after': '7' }, { retryable: true, status: 429, retryAfterMs: 7_000 }],
  [503, {}, { retryable: true, status: 503 }],
])(
  'the answer %i is told apart, and no error shows the address',
  async (status, headers, expected) => {
    const { url } = await receiver((response) => response.writeHead(status, headers).end('no'));
    const failure = await webhookChannel({ url })
      .send(notification, context())
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'OPERATIONS_ALERT_CHANNEL_FAILED', ...expected });
    expect(JSON.stringify(failure) + String(failure)).not.toContain('secret-path');
  },
);

test('a redirect is refused: it may lead the notification elsewhere', async () => {
  const { url } = await receiver((response) =>
    response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
  );
  await expect(webhookChannel({ url }).send(notification, context())).rejects.toMatchObject({
    retryable: true,
  });
});

test('a text message is cut to its length, and keeps its key', async () => {
  const sent: unknown[] = [];
  const send = (message: unknown): Promise<void> => Promise.resolve(void sent.push(message));
  const channel = smsChannel({ to: '+4930', maxLength: 30, send });
  await channel.send(notification, context());
  expect(sent).toEqual([
    { to: '+4930', text: '[CRITICAL] Redis <is> down & o', idempotencyKey: 'abc-1/page/1' },
  ]);
});

test('a mail has an id that is the same for every attempt', async () => {
  const mails: string[] = [];
  const server = createTcpServer((socket) => {
    let isData = false;
    let text = '';
    socket.write('220 test\r\n');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (isData) {
        if (!text.endsWith('\r\n.\r\n')) return;
        mails.push(text);
        [isData, text] = [false, ''];
        socket.write('250 ok\r\n');
        return;
      }
      for (const line of text.split('\r\n').slice(0, -1)) {
        isData = line === 'DATA';
        if (line === 'QUIT') socket.end('221 bye\r\n');
        else socket.write(isData ? '354 go\r\n' : '250 ok\r\n');
      }
      text = '';
    });
  });
  const { port } = await listening(server);
  closers.push(async () => void server.close());
  const url = `smtp://127.0.0.1:${port}`;
  const channel = smtpChannel({ url, from: 'a@example.com', to: ['b@example.com'] });
  await channel.send(notification, context());
  await channel.send(notification, context());
  const ids = mails.map((mail) => /^Message-ID: (.+)$/imu.exec(mail)?.[1]);
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(1);
  expect(mails[0]).toContain('Subject: [CRITICAL]');
});

test('a mail server that hangs ends with the deadline', async () => {
  const server = createTcpServer((socket) => socket.on('error', () => {}));
  const { port } = await listening(server);
  closers.push(async () => void server.close());
  const channel = smtpChannel({ url: `smtp://127.0.0.1:${port}`, from: 'a@b.c', to: ['d@e.f'] });
  const reason = new Error('late');
  const abort = new AbortController();
  const sending = channel.send(notification, { signal: abort.signal });
  await once(server, 'connection');
  abort.abort(reason);
  await expect(sending).rejects.toBe(reason);
});
