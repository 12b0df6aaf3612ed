import { Readable } from 'node:stream';
import { isWebStream } from './damage/damaged-stream.ts';

/** An answer that its caller does not have yet. */
interface HeldAnswer {
  /** Gives the answer to its caller. */
  release(): void;
  /** Destroys the bodies of an answer that nobody will read. */
  discard(reason: unknown): void;
}

const ignore = (): void => {};

/** Holds an answer: its bodies may fail before anybody else listens, and their reader learns it later. */
export function holdAnswer(answer: unknown): HeldAnswer {
  const bodies = bodiesOf(answer);
  const streams = bodies.filter((body) => body instanceof Readable);
  for (const stream of streams) stream.on('error', ignore);
  return {
    release() {
      for (const stream of streams) stream.off('error', ignore);
    },
    discard(reason) {
      // The listeners stay: what is destroyed may still fail.
      for (const stream of streams) stream.destroy();
      for (const body of bodies) {
        if (isWebStream(body) && !body.locked) body.cancel(reason).catch(ignore);
      }
    },
  };
}

/** The streams that an answer is, or has as a field, such as the body of a response. */
function bodiesOf(answer: unknown): (Readable | ReadableStream)[] {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return [];
  if (isStream(answer)) return [answer];
  if (answer instanceof Response) return answer.body === null ? [] : [answer.body];
  // A getter is not called for this.
  const fields = Object.values(Object.getOwnPropertyDescriptors(answer));
  return fields.map((field): unknown => field.value).filter(isStream);
}

function isStream(value: unknown): value is Readable | ReadableStream {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Readable || isWebStream(value);
}
