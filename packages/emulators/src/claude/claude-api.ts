import { type Clock, sleep } from '@holdfast/foundation';

/** What the emulated model says to a prompt; the number counts the requests from 1. */
export type ClaudeAnswer = (prompt: string, requestNumber: number) => string;

/** A request, and what became of it. */
export interface ClaudeRequestRecord {
  readonly prompt: string;
  /** 0 while there is no response. */
  readonly status: number;
  /** Whether the whole answer was sent: it is paid for. */
  readonly isComplete: boolean;
}

/** How often a mock applies. */
export interface ClaudeMockOptions {
  /** The number of requests. Default: all until `clearMocks`. */
  readonly times?: number;
}

/** Controls of the emulated API, in the words of the publish pipeline's tests. */
export interface ClaudeControls {
  /** Each answer begins that much later. */
  mockClaudeDelay(delayMs: number, options?: ClaudeMockOptions): void;
  /** Each request gets this status, and `retry-after` when it is given. */
  mockClaudeError(
    status: number,
    message: string,
    options?: ClaudeMockOptions & { readonly retryAfterS?: number },
  ): void;
  /** Each answer ends in its middle: by the connection, by an error event, or by silence. */
  mockClaudeCut(how: 'reset' | 'error-event' | 'silence', options?: ClaudeMockOptions): void;
  clearMocks(): void;
  requests(): readonly ClaudeRequestRecord[];
}

/** A response as both the server and the interceptor send it. */
interface ClaudeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly string[];
  /** What comes after the pieces. */
  readonly end: 'complete' | 'reset' | 'silence';
  readonly record: { readonly prompt: string; status: number; isComplete: boolean };
}

type Mock =
  | { readonly kind: 'delay'; readonly delayMs: number; left: number }
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly message: string;
      readonly retryAfterS: number | undefined;
      left: number;
    }
  | { readonly kind: 'cut'; readonly how: 'reset' | 'error-event' | 'silence'; left: number };

const CHARACTERS_PER_TOKEN = 4;
const PIECES = 4;
const OVERLOADED = 529;

/** The Messages API of Claude as far as a client of it can tell: streams, errors, usage. */
export class ClaudeApi implements ClaudeControls {
  readonly #answer: ClaudeAnswer;
  readonly #apiKey: string;
  readonly #clock: Clock;
  readonly #records: { prompt: string; status: number; isComplete: boolean }[] = [];
  #mocks: Mock[] = [];

  constructor(answer: ClaudeAnswer, apiKey: string, clock: Clock) {
    this.#answer = answer;
    this.#apiKey = apiKey;
    this.#clock = clock;
  }

  mockClaudeDelay(delayMs: number, { times = Infinity }: ClaudeMockOptions = {}): void {
    this.#mocks.push({ kind: 'delay', delayMs, left: times });
  }

  mockClaudeError(
    status: number,
    message: string,
    { times = Infinity, retryAfterS }: ClaudeMockOptions & { readonly retryAfterS?: number } = {},
  ): void {
    this.#mocks.push({ kind: 'error', status, message, retryAfterS, left: times });
  }

  mockClaudeCut(
    how: 'reset' | 'error-event' | 'silence',
    { times = Infinity }: ClaudeMockOptions = {},
  ): void {
    this.#mocks.push({ kind: 'cut', how, left: times });
  }

  clearMocks(): void {
    this.#mocks = [];
  }

  requests(): readonly ClaudeRequestRecord[] {
    return this.#records.map((record) => ({ ...record }));
  }

  /** Rejects when the client leaves during a delay. */
  async respond(apiKey: string | null, body: string, signal: AbortSignal): Promise<ClaudeResponse> {
    const prompt = promptOf(body);
    const record = { prompt, status: 0, isComplete: false };
    this.#records.push(record);
    const number = this.#records.length;
    const applied = this.#mocks.filter((mock) => mock.left > 0);
    for (const mock of applied) mock.left -= 1;
    const error = applied.find((mock) => mock.kind === 'error');
    for (const mock of applied) {
      if (mock.kind === 'delay') await sleep(this.#clock, mock.delayMs, signal);
    }
    if (apiKey !== this.#apiKey) return refusal(record, 401, 'invalid x-api-key', undefined);
    if (prompt === '') return refusal(record, 400, 'messages: a message is required', undefined);
    if (error !== undefined) {
      return refusal(record, error.status, error.message, error.retryAfterS);
    }
    const cut = applied.find((mock) => mock.kind === 'cut');
    return answered(record, this.#answer(prompt, number), cut?.how);
  }
}

function answered(
  record: ClaudeResponse['record'],
  text: string,
  cut: 'reset' | 'error-event' | 'silence' | undefined,
): ClaudeResponse {
  record.status = 200;
  const size = Math.max(1, Math.ceil(text.length / PIECES));
  const usage = { input_tokens: Math.ceil(record.prompt.length / CHARACTERS_PER_TOKEN) };
  const pieces = [event('message_start', { message: { role: 'assistant', usage } })];
  for (let at = 0; at < text.length; at += size) {
    const delta = { type: 'text_delta', text: text.slice(at, at + size) };
    pieces.push(event('content_block_delta', { index: 0, delta }), event('ping', {}));
  }
  const output_tokens = Math.ceil(text.length / CHARACTERS_PER_TOKEN);
  pieces.push(
    event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens } }),
    event('message_stop', {}),
  );
  const headers = { 'content-type': 'text/event-stream' };
  if (cut === undefined) return { status: 200, headers, pieces, end: 'complete', record };
  const half = pieces.slice(0, Math.ceil(pieces.length / 2));
  if (cut !== 'error-event') return { status: 200, headers, pieces: half, end: cut, record };
  const error = { type: 'overloaded_error', message: 'Overloaded' };
  return {
    status: 200,
    headers,
    pieces: [...half, event('error', { error })],
    end: 'complete',
    record: { ...record },
  };
}

function refusal(
  record: ClaudeResponse['record'],
  status: number,
  message: string,
  retryAfterS: number | undefined,
): ClaudeResponse {
  record.status = status;
  const type = status === OVERLOADED ? 'overloaded_error' : 'api_error';
  return {
    status,
    headers: {
      'content-type': 'application/json',
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
    },
    pieces: [JSON.stringify({ type: 'error', error: { type, message } })],
    end: 'complete',
    record: { ...record },
  };
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function promptOf(body: string): string {
  try {
    const [message] = Object(JSON.parse(body)).messages;
    return String(Object(message).content ?? '');
  } catch {
    return '';
  }
}
