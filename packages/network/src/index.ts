/**
 * Names, certificates and routes: a resolver that keeps answering while name servers fail, connections that are checked
 * before they are used, a fetch with one deadline from the call to the last byte, and balancers over several servers.
 */
export type {
  AddressSet,
  AddressesChanged,
  DialOptions,
  DialTarget,
  DialedConnection,
  Dialer,
  IpAddress,
  ResolveOptions,
  StaleAddresses,
} from './network.ts';
export { NetworkClosedError } from './errors.ts';
export { createResolver } from './names/create-resolver.ts';
export {
  NameError,
  type NameErrorKind,
  NameHasNoAddressError,
  NameLimitError,
  NameNotFoundError,
  NameQueueFullError,
  NameResourcesError,
  NameServersFailedError,
  NameTimeoutError,
} from './names/errors.ts';
export type {
  LookupCallback,
  LookupFamily,
  NameLookup,
  NameAnswer,
  NameServerStats,
  NameSource,
  NameSourceStats,
  Resolver,
  ResolverEvents,
  ResolverOptions,
  ResolverStats,
  StaleServed,
} from './names/resolver.ts';

export { createDialer } from './dialing/create-dialer.ts';
export type {
  DialerOptions,
  DialerResolver,
  DialerStats,
  ManagedDialer,
} from './dialing/dialer.ts';
export {
  type DialAttempt,
  DialFailedError,
  type DialFailure,
  DialTimeoutError,
  PrivateAddressError,
} from './dialing/errors.ts';
export type { CertificateExpired, CertificateExpiring, DialerEvents } from './tls/events.ts';
export { classifyTlsFailure } from './tls/classify-tls-failure.ts';
export { type TlsRefusal, type TlsRefusedDetails, TlsRefusedError } from './tls/errors.ts';
export type { TlsPolicy } from './tls/tls-policy.ts';
export { createBalancer } from './routes/create-balancer.ts';
export type {
  AddressSource,
  Balancer,
  BalancerEvents,
  BalancerOptions,
  BalancerStats,
  BalancerStrategy,
  CallEnd,
  CheckHealth,
  FollowOptions,
  HealthCheckOptions,
  RouteLease,
  NodeOutcome,
  NodeStateChange,
  NodeStats,
  OutlierOptions,
  PickOptions,
  RouteNode,
  RunContext,
  RunOptions,
} from './routes/balancer.ts';
export type { IllReason, NodeState } from './routes/nodes/node-state.ts';
export {
  type DistributeOptions,
  type LoadBalancer,
  type LoadBalancerOptions,
  createLoadBalancer,
} from './routes/load-balancer.ts';
export {
  ContentCutError,
  ContentMismatchError,
  ContentTooLargeError,
  GatewayResponseError,
  GatewaysFailedError,
  NoHealthyInstancesError,
  NodesFailedError,
  type RouteAttempt,
  RouteTimeoutError,
  ServiceNotFoundError,
} from './routes/errors.ts';
export { createGateways } from './routes/gateways/create-gateways.ts';
export type {
  ContentVerifier,
  DownloadOptions,
  DownloadedContent,
  GatewayFetch,
  GatewayStats,
  Gateways,
  GatewaysEvents,
  GatewaysOptions,
  GatewaysStats,
} from './routes/gateways/gateways.ts';
export { createResilientFetch, resilientFetch } from './fetch/create-resilient-fetch.ts';
export {
  BodyTooLargeError,
  FetchError,
  FetchFailedError,
  FetchRefusedError,
  FetchTimeoutError,
  DamagedBodyError,
  RedirectRefusedError,
  RetryLaterError,
  TruncatedBodyError,
  type FetchEndpoint,
  type FetchErrorDetails,
  type FetchStage,
  type RedirectRefusal,
  type Written,
} from './fetch/errors.ts';
export type {
  AddressChangeSource,
  DrainReason,
  FetchOriginStats,
  FetchRetryOptions,
  ResilientFetch,
  ResilientFetchEvents,
  ResilientFetchOptions,
  ResilientFetchStats,
  ResilientRequestInit,
  ResilientResponse,
} from './fetch/resilient-fetch.ts';
