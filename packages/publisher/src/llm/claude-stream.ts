import { ModelAnswerCutError, ModelApiError } from '../errors.ts';
import type { ModelAnswer } from './edit-model.ts';

const OVERLOADED = 529;
const SERVER_ERROR = 500;

/** Puts an answer together from the events of a stream. */
export class AnswerBuilder {
  readonly #maxBytes: number;
  #text = '';
  #stopReason: string | undefined;
  #isComplete = false;
  inputTokens = 0;
  outputTokens = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the data of one event. @throws ModelApiError for an error within the stream; ModelAnswerCutError */
  add(data: string): void {
    const event = parsed(data);
    switch (event['type']) {
      case 'message_start': {
        this.inputTokens = Number(Object(Object(event['message']).usage).input_tokens ?? 0);
        break;
      }
      case 'content_block_delta': {
        const { text } = Object(event['delta']);
        if (typeof text === 'string') this.#text += text;
        if (this.#text.length > this.#maxBytes) throw new ModelAnswerCutError('it is too long');
        break;
      }
      case 'message_delta': {
        this.#stopReason = Object(event['delta']).stop_reason ?? this.#stopReason;
        this.outputTokens = Number(Object(event['usage']).output_tokens ?? this.outputTokens);
        break;
      }
      case 'message_stop': {
        this.#isComplete = true;
        break;
      }
      case 'error': {
        throw errorWithin(Object(event['error']));
      }
      default:
      // Pings, and what a later version of the API adds.
    }
  }

  /** @throws ModelAnswerCutError when the last event has not come */
  answer(): ModelAnswer {
    if (!this.#isComplete || this.#stopReason === undefined) {
      throw new ModelAnswerCutError('the stream ended before it');
    }
    const { inputTokens, outputTokens } = this;
    return { text: this.#text, stopReason: this.#stopReason, inputTokens, outputTokens };
  }
}

/** Splits a stream of server-sent events into the data of each; see the HTML standard, 9.2.6. */
export class EventLines {
  #rest = '';
  #data: string[] = [];

  /** @returns the data of the events that are complete now */
  push(text: string): readonly string[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    const events: string[] = [];
    for (const line of lines) {
      if (line.startsWith('data:')) this.#data.push(line.slice('data:'.length).trimStart());
      if (line !== '' || this.#data.length === 0) continue;
      events.push(this.#data.join('\n'));
      this.#data = [];
    }
    return events;
  }
}

function parsed(data: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(data));
  } catch (error) {
    throw new ModelAnswerCutError('an event is no JSON', error);
  }
}

function errorWithin({ type, message }: { type?: unknown; message?: unknown }): ModelApiError {
  const status = type === 'overloaded_error' ? OVERLOADED : SERVER_ERROR;
  return new ModelApiError(status, String(message ?? type), true);
}
