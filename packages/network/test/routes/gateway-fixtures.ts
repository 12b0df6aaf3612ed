import { createHash } from 'node:crypto';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type GatewayFetch, type GatewaysOptions, createGateways } from '../../src/index.ts';

export const CONTENT = Buffer.from('0123456789'.repeat(100));
export const DIGEST = createHash('sha256').update(CONTENT).digest('hex');
export const A = 'http://a.test';
export const B = 'http://b.test';

interface Asked {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export type Answer = (asked: Asked) => Response | Promise<Response>;

/** A body that gives `parts`, then fails, or stays open without an error. */
export function body(
  parts: readonly Uint8Array[],
  end: 'close' | 'hang' | Error = 'close',
): ReadableStream {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const part = parts[at];
      at += 1;
      if (part !== undefined) controller.enqueue(part);
      else if (end === 'close') controller.close();
      else if (end !== 'hang') controller.error(end);
      else return new Promise(() => {});
      return undefined;
    },
  });
}

export const whole =
  (content: Uint8Array = CONTENT, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(body([content]), { headers });
export const cutAfter =
  (bytes: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(body([CONTENT.subarray(0, bytes)], new Error('ECONNRESET')), { headers });
export const ranged =
  (content: Uint8Array, headers: Record<string, string> = {}): Answer =>
  ({ headers: asked }) => {
    const match = /^bytes=(\d+)-$/.exec(asked['range'] ?? '');
    if (match === null) return new Response(body([content]), { headers });
    const from = Number(match[1]);
    const range = { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` };
    return new Response(body([content.subarray(from)]), {
      status: 206,
      headers: { ...headers, ...range },
    });
  };
export const status =
  (code: number): Answer =>
  () =>
    new Response(null, { status: code });
export const refused: Answer = () =>
  Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
export const silent: Answer = () => new Promise(() => {});

export function open(answers: Record<string, Answer>, options: Partial<GatewaysOptions> = {}) {
  const asked: Asked[] = [];
  const clock = createFakeClock();
  const fetch: GatewayFetch = async (url, { headers, signal }) => {
    asked.push({ url, headers, signal });
    const answer = answers[new URL(url).origin];
    if (answer === undefined) throw new Error(`no answer for ${url}`);
    return answer({ url, headers, signal });
  };
  const gateways = createGateways({ gateways: Object.keys(answers), fetch, clock, ...options });
  return { gateways, asked, clock };
}
