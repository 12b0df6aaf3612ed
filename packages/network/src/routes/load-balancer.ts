import { InvalidOptionError, number, optional, parseOptions } from '@holdfast/foundation';
import type { Balancer, BalancerOptions, RouteNode, RunContext } from './balancer.ts';
import { createBalancer } from './create-balancer.ts';
import { ServiceNotFoundError } from './errors.ts';

/** Options of `createLoadBalancer`. */
export interface LoadBalancerOptions<N extends RouteNode = RouteNode> {
  /** The nodes and the rules of each service. */
  readonly services: Readonly<Record<string, Omit<BalancerOptions<N>, 'name'>>>;
  /** The time for one request, with all its attempts. Default: that of each service. */
  readonly requestTimeoutMs?: number;
}

/** Options of one request. */
export interface DistributeOptions {
  /** Requests of one session go to one node as long as it answers; others by the strategy of the service. */
  readonly sessionId?: string;
  /** Whether the request may reach two nodes. Default false. */
  readonly idempotent?: boolean;
  /** Ends the request and its attempts; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Balancers by the name of the service. */
export interface LoadBalancer<N extends RouteNode = RouteNode> {
  /**
   * Calls a node of the service, and another one when it fails.
   * @throws ServiceNotFoundError, and what {@link Balancer.run} throws
   */
  distributeRequest<T>(
    service: string,
    call: (instance: N, context: RunContext) => T | PromiseLike<T>,
    options?: DistributeOptions,
  ): Promise<T>;
  /** @throws ServiceNotFoundError */
  service(name: string): Balancer<N>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const OWNER = 'createLoadBalancer';
const PERMITTED = 'an object from names of services to options of createBalancer';
const timeoutRule = { requestTimeoutMs: optional(number({ min: 1, max: 3_600_000 })) };

/**
 * A balancer for each service, by its name.
 * @throws InvalidOptionError naming the field
 */
export function createLoadBalancer<N extends RouteNode>(
  options: LoadBalancerOptions<N>,
): LoadBalancer<N> {
  const { services, ...rest } = options;
  const { requestTimeoutMs } = parseOptions(OWNER, timeoutRule, rest);
  if (typeof services !== 'object' || services === null || Array.isArray(services)) {
    throw new InvalidOptionError(OWNER, 'services', services, PERMITTED);
  }
  const balancers = new Map<string, Balancer<N>>();
  for (const [name, own] of Object.entries(services)) {
    const limit = requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs };
    balancers.set(name, createBalancer<N>({ ...limit, ...own, name }));
  }
  const service = (name: string): Balancer<N> => {
    const balancer = balancers.get(name);
    if (balancer === undefined) throw new ServiceNotFoundError(name, [...balancers.keys()]);
    return balancer;
  };
  const close = async (): Promise<void> => {
    await Promise.all([...balancers.values()].map((balancer) => balancer.close()));
  };
  return {
    distributeRequest: async (name, call, given) => service(name).run(call, given),
    service,
    close,
    [Symbol.asyncDispose]: close,
  };
}
