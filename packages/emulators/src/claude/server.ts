import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Clock,
  callback,
  integer,
  objectWith,
  parseOptions,
  requireNode,
  string,
  systemClock,
} from '@holdfast/foundation';
import { bodyChunks, readBytes } from '../serving/body.ts';
import { type HttpListener, listen } from '../serving/http-listener.ts';
import { type ClaudeAnswer, ClaudeApi, type ClaudeControls } from './claude-api.ts';

/** Options of `createClaudeServer`. */
export interface ClaudeServerOptions {
  /** What it says to a prompt. Default: a sentence. */
  readonly answer?: ClaudeAnswer;
  /** The key that it accepts. Default `holdfast-claude`. */
  readonly apiKey?: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** The clock of delays. */
  readonly clock?: Clock;
}

/** The Messages API of Claude in this process. */
export interface ClaudeServer extends HttpListener, ClaudeControls {
  readonly apiKey: string;
}

const MAX_BODY_BYTES = 67_108_864;
const shape = {
  answer: callback<ClaudeAnswer>(() => 'Mock Claude response'),
  apiKey: string({ maxLength: 200, default: 'holdfast-claude' }),
  host: string({ maxLength: 255, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Starts the Messages API of Claude in this process, for tests: its streams can be delayed, refused and cut.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createClaudeServer(options: ClaudeServerOptions = {}): Promise<ClaudeServer> {
  requireNode('createClaudeServer');
  const { answer, apiKey, host, port, clock } = parseOptions('createClaudeServer', shape, options);
  const api = new ClaudeApi(answer, apiKey, clock);
  const listener = await listen(
    {
      serve(message, response) {
        // A connection that fails needs no report: its client sees it too.
        serve(api, message, response).catch(() => void response.destroy());
      },
      close: () => {},
    },
    { host, port },
  );
  return Object.assign(api, listener, { apiKey });
}

async function serve(
  api: ClaudeApi,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (message.method !== 'POST' || message.url !== '/v1/messages') {
    message.resume();
    response.writeHead(404).end();
    return;
  }
  const left = new AbortController();
  response.once('close', () => left.abort(new Error('the client left')));
  const body = await readBytes(
    bodyChunks(message, () => {}),
    MAX_BODY_BYTES,
  );
  const key = message.headers['x-api-key'];
  const apiKey = typeof key === 'string' ? key : null;
  const answer = await api.respond(apiKey, body.toString('utf8'), left.signal);
  response.writeHead(answer.status, answer.headers);
  for (const piece of answer.pieces) response.write(piece);
  if (answer.end === 'silence') return;
  if (answer.end === 'reset') {
    // What was written is on its way before the reset.
    await new Promise((resolve) => void response.write('', resolve));
    response.destroy();
    return;
  }
  await new Promise<void>((resolve) => void response.end(resolve));
  answer.record.isComplete = true;
}
