import { strictEqual } from 'node:assert';
import type { ServerHandle } from '@holdfast/stage';
import { waitUntil } from '../wait-until.ts';
import type { Example, ExampleFixture, ExampleOptions } from './example.ts';

interface Order {
  readonly id: string;
  readonly accepted: string;
}

/** How many jobs are handled before, and accepted during the outage. */
const ORDERS = 5;
const REQUEST_TIMEOUT_MS = 10_000;

/** Posts an order. @throws Error when it is not accepted, or not answered within `timeoutMs` */
export async function postOrder(url: string, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Order> {
  const response = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ customer: 'ada' }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  strictEqual(response.status, 202, text);
  return JSON.parse(text);
}

export async function statusOf(url: string): Promise<number> {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  await response.arrayBuffer();
  return response.status;
}

/** What became of the orders of a service. */
export interface OrdersResult {
  /** The ids of all orders that were answered with 202. */
  readonly accepted: readonly string[];
  /** Where the orders of the outage were accepted. */
  readonly acceptedBy: readonly string[];
  readonly readiness: { readonly during: number };
  /** How the processes ended after SIGTERM: the first amid requests, while Redis was down. */
  readonly exits: readonly (number | NodeJS.Signals)[];
}

/**
 * Runs a service that accepts orders through an outage of Redis: it is killed, orders are posted, the process gets
 * SIGTERM while more are posted, Redis comes back, and a second process on the same directory handles what is left.
 *
 * @param unhandled resolves with those of the ids that were not handled yet.
 */
export async function runOrders(
  fixture: ExampleFixture,
  redis: Pick<ServerHandle, 'kill' | 'start'>,
  options: ExampleOptions,
  unhandled: (ids: readonly string[], examples: readonly Example[]) => Promise<string[]> | string[],
): Promise<OrdersResult> {
  const first = fixture.start(options);
  const url = await first.url();
  const accepted: string[] = [];
  const post = async (): Promise<Order> => {
    const order = await postOrder(url);
    accepted.push(order.id);
    return order;
  };
  for (let order = 0; order < ORDERS; order += 1) await post();
  await waitUntil(async () => (await unhandled(accepted, [first])).length === 0);

  await redis.kill();
  const orders = await Promise.all(Array.from({ length: ORDERS }, post));
  const during = await statusOf(`${url}/readyz`);
  // Once the port is closed a request is refused, and no order of it was accepted.
  const posting = Promise.allSettled(
    Array.from({ length: ORDERS }, async () => {
      while (true) await post();
    }),
  );
  await waitUntil(() => accepted.length > ORDERS * 3);
  const exit = await first.stop();
  await posting;

  await redis.start();
  const second = fixture.start(options);
  await second.url();
  await waitUntil(async () => (await unhandled(accepted, [first, second])).length === 0);
  const exits = [exit, await second.stop()];
  return {
    accepted,
    acceptedBy: orders.map((order) => order.accepted),
    readiness: { during },
    exits,
  };
}

/** For `runOrders`, of services that print `handled` and the id. */
export function unhandledByLines(ids: readonly string[], examples: readonly Example[]): string[] {
  const handled = new Set(examples.flatMap(({ lines }) => lines));
  return ids.filter((id) => !handled.has(`handled ${id}`));
}
