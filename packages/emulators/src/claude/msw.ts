/** The Messages API of Claude as a handler of the optional peer msw, over the same answers as the server. */
import { type Clock, systemClock } from '@holdfast/foundation';
import { type HttpHandler, HttpResponse, http } from 'msw';
import { type ClaudeAnswer, ClaudeApi, type ClaudeControls } from './claude-api.ts';

/** The API behind a handler of msw. */
export interface ClaudeMsw extends ClaudeControls {
  /** For `setupServer(...handlers)`. */
  readonly handlers: readonly HttpHandler[];
  readonly apiKey: string;
}

/** Options of `createClaudeMsw`. */
export interface ClaudeMswOptions {
  /** What it says to a prompt. */
  readonly answer: ClaudeAnswer;
  /** What clients are configured with. Default `https://api.anthropic.com`. */
  readonly baseUrl?: string;
  /** The clock of delays. */
  readonly clock?: Clock;
}

const API_KEY = 'holdfast-claude';

/** The Messages API of Claude without a server. */
export function createClaudeMsw({
  answer,
  baseUrl = 'https://api.anthropic.com',
  clock = systemClock,
}: ClaudeMswOptions): ClaudeMsw {
  const api = new ClaudeApi(answer, API_KEY, clock);
  const handler = http.post(`${baseUrl}/v1/messages`, async ({ request }) => {
    const key = request.headers.get('x-api-key');
    const { signal } = request;
    // Rejects when the client has given up, and needs no answer.
    const response = await api.respond(key, await request.text(), signal).catch(() => undefined);
    if (response === undefined) return HttpResponse.error();
    const { status, headers, pieces, end, record } = response;
    const rest = [...pieces];
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = rest.shift();
        if (piece !== undefined) controller.enqueue(encoder.encode(piece));
        else if (end === 'reset') controller.error(new Error('the connection was reset'));
        else if (end === 'complete') {
          record.isComplete = true;
          controller.close();
        }
      },
    });
    return new HttpResponse(body, { status, headers });
  });
  return Object.assign(api, { handlers: [handler], apiKey: API_KEY });
}
