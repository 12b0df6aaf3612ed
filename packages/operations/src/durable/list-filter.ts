import { integer, objectWith, oneOf, optional, parseOptions, string } from '@holdfast/foundation';

const MAX_NAME = 200;
const MAX_LISTED = 10_000;

const schema = {
  name: optional(string({ maxLength: MAX_NAME })),
  state: optional(oneOf(['pending', 'running', 'succeeded', 'failed', 'cancelled'])),
  limit: integer({ min: 1, max: MAX_LISTED, default: 100 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener'])),
};

/** The filter of `list`, with its defaults. */
export function parseListFilter(filter: unknown): {
  readonly name: string | undefined;
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled' | undefined;
  readonly limit: number;
} {
  return parseOptions('list', schema, filter);
}
