import { readFileSync, readdirSync } from 'node:fs';
import { createFakeClock } from '@holdfast/foundation/testing';
import { EsimGoApi } from '../../src/esim-go/api/esim-go-api.ts';
import { type EsimGoOptions, parseEsimGoSettings } from '../../src/esim-go/api/options.ts';

/** A request, and what the API responds to it. */
export interface Exchange {
  readonly path: string;
  /** Default: the valid one. */
  readonly apiKey?: string;
  /** `null` where none is sent. */
  readonly response: RecordedResponse | null;
}

export interface RecordedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** As JSON, or as text where it is none. */
  readonly body: unknown;
}

/** Exchanges in order, with an API of these options. */
export interface Recording {
  readonly scenario: string;
  readonly options: EsimGoOptions;
  readonly exchanges: readonly Exchange[];
}

const root = new URL('../../../../fixtures/', import.meta.url);
export const responsesFolder: URL = new URL('responses/', root);

/** The recordings by the names of their files. */
export function readRecordings(): readonly (readonly [file: string, recording: Recording])[] {
  return readdirSync(responsesFolder)
    .toSorted()
    .map((file) => [file, parseRecording(readFileSync(new URL(file, responsesFolder), 'utf8'))]);
}

export function readCatalogFixture(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`catalog/${file}`, root), 'utf8'));
}

function parseRecording(text: string): Recording {
  return JSON.parse(text);
}

export function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The recording with what the API responds now, at the time where all recordings begin. */
export function recordAgain(recording: Recording): Recording {
  const api = new EsimGoApi(parseEsimGoSettings('record', recording.options), createFakeClock());
  const exchanges = recording.exchanges.map(({ path, apiKey }): Exchange => {
    const key = apiKey ?? api.settings.apiKey;
    const answer = api.respond({ method: 'GET', path, apiKey: key, address: 'recorder' });
    const { status, headers, delivery } = answer;
    const body = parseBody([...answer.body].join(''));
    const response = delivery === 'whole' ? { status, headers, body } : null;
    return { path, ...(apiKey !== undefined && { apiKey }), response };
  });
  return { ...recording, exchanges };
}
