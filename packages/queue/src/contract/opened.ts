import type { QueueBackend, Subscription } from '../backend.ts';

/** A backend whose server is up, and a function that closes both. */
export interface OpenBackend {
  readonly backend: QueueBackend;
  close(): Promise<void>;
}

/** What one test of a contract has opened: all of it is closed after the test, also when it has failed. */
export class OpenedBackends {
  readonly #backends: OpenBackend[] = [];
  readonly #subscriptions = new Set<Subscription>();

  /** Opens a backend, and remembers its subscriptions until they are closed. */
  async open(open: () => Promise<OpenBackend>): Promise<QueueBackend> {
    const one = await open();
    this.#backends.push(one);
    const { backend } = one;
    const subscribe = backend.subscribe.bind(backend);
    backend.subscribe = (...given) => {
      const subscription = subscribe(...given);
      this.#subscriptions.add(subscription);
      const close = subscription.close.bind(subscription);
      subscription.close = (held) => {
        this.#subscriptions.delete(subscription);
        return close(held);
      };
      return subscription;
    };
    await backend.whenConnected(new AbortController().signal);
    return backend;
  }

  /** @throws the first error of what could not be closed, once everything else is. */
  async close(): Promise<void> {
    const subscriptions = [...this.#subscriptions];
    this.#subscriptions.clear();
    const consumers = await Promise.allSettled(subscriptions.map((one) => one.close()));
    const backends = await Promise.allSettled(this.#backends.splice(0).map((one) => one.close()));
    for (const end of [...consumers, ...backends]) if (end.status === 'rejected') throw end.reason;
  }
}
