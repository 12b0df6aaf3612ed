/**
 * Keeps what arrives of a body until somebody reads it: as one piece if all of it is there when it is opened, else as
 * a stream with backpressure.
 *
 *     filling ──open──▶ streaming ──▶ done
 *        └────────────────────────────▶ done ──open──▶ (one piece)
 */
export class BodyReceiver {
  readonly #chunks: Uint8Array[] = [];
  readonly #owner: BodyReceiverOwner;
  #bytes = 0;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(owner: BodyReceiverOwner) {
    this.#owner = owner;
  }

  /** Returns false to be given no more until the owner's `resume`. */
  data(chunk: Uint8Array): boolean {
    if (this.#isDone) return true;
    if (this.#controller !== undefined) {
      this.#controller.enqueue(chunk);
      return (this.#controller.desiredSize ?? 1) > 0;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    return this.#bytes < HIGH_WATER_BYTES;
  }

  end(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#controller?.close();
  }

  fail(error: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#failure = { error };
    this.#controller?.error(error);
  }

  /** The body; call it once. */
  open(): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
    if (this.#isDone && this.#failure === undefined) return Buffer.concat(this.#chunks);
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => this.#start(controller),
        pull: () => this.#owner.resume(),
        cancel: (reason) => {
          this.#isDone = true;
          this.#owner.discard(reason);
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    );
  }

  #start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    for (const chunk of this.#chunks.splice(0)) controller.enqueue(chunk);
    if (this.#failure !== undefined) controller.error(this.#failure.error);
  }
}

const HIGH_WATER_BYTES = 65_536;

export interface BodyReceiverOwner {
  /** The reader wants more. */
  resume(): void;
  /** The reader wants no more. */
  discard(reason: unknown): void;
}
