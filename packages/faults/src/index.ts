/** Injects faults into what a service depends on: proxies, injectors, storms, experiments and load, all seeded. */
export {
  type CertificateAuthority,
  type CertificateAuthorityOptions,
  type CertificateOptions,
  type Credentials,
  type RevocationListOptions,
  createCertificateAuthority,
  createSelfSignedCertificate,
} from './certificates/certificate-authority.ts';
export {
  type TlsFaultKind,
  type TlsServerOptions,
  type TlsServerFaultOptions,
  tlsFaultKinds,
  tlsServerOptions,
} from './certificates/tls-server-options.ts';
export { type Decisions } from './decision-log.ts';
export {
  ExperimentInterruptedError,
  FaultNotUndoneError,
  ProxyClosedError,
  ProxyListenError,
  RemoteTargetError,
  SteadyStateError,
  StormFailedError,
} from './errors.ts';
export { type Distribution } from '@holdfast/foundation';
export {
  type FaultOptions,
  type DirectionalFaultOptions,
  type Direction,
  type FaultSchedule,
} from './proxy/fault.ts';
export {
  type ProxyFaultKind,
  type ProxyFaultSpec,
  type ProxyFaults,
  faultKindNames,
} from './proxy/fault-kinds.ts';
export {
  type FaultProxy,
  type FaultProxyEvents,
  type FaultProxyOptions,
  type FaultProxyStats,
  createFaultProxy,
} from './proxy/fault-proxy.ts';
export {
  type ChaosFaultInjector,
  type ChaosFaultInjectorEvents,
  type ChaosFaultInjectorOptions,
  type ChaosFaultInjectorStats,
  type OperationKey,
  createChaosFaultInjector,
} from './injector/chaos-fault-injector.ts';
export { type Fetch } from './injector/faulty-fetch.ts';
export { type AwsClient } from './injector/clients/wrap-aws.ts';
export { type PgClient } from './injector/clients/wrap-pg.ts';
export { type RedisClient } from './injector/clients/wrap-redis.ts';
export { type Injection } from './injector/injected-error.ts';
export {
  type FailingFaultOptions,
  type InjectedFaultKind,
  type InjectedFaultOptions,
  type InjectedFaults,
} from './injector/injected-faults.ts';
export { type Schedule, type TimedFault } from './storm/schedule.ts';
export {
  type Storm,
  type StormFault,
  type StormOptions,
  losslessFaults,
  playStorm,
  storm,
} from './storm/storm.ts';
export {
  type FleetFault,
  type FleetServerFault,
  type FleetServer,
  type FleetStorm,
  type FleetStormOptions,
  fleetStorm,
  playFleetStorm,
} from './storm/fleet-storm.ts';
export { shrinkStorm } from './storm/shrink-storm.ts';
export { withstand } from './storm/withstand.ts';
export { ResponseStatusError, type StatusResponse, expectOk } from './load/expect-ok.ts';
export { type LoadBottleneck, type LoadFindings } from './load/findings.ts';
export { type LoadResult, generateLoad } from './load/generate-load.ts';
export { type LoadOptions, type LoadStage } from './load/load-options.ts';
export { type LoadCounts, type LoadStep, type LoadWindow } from './load/load-record.ts';
export { type ExperimentOptions, type SteadyState, experiment } from './experiment/experiment.ts';
export { type ExperimentResult } from './experiment/result.ts';
export { type FaultUndo, type Undo } from './experiment/undo.ts';
export { type PhaseStats } from './experiment/samples.ts';
export {
  type HttpFaultProxy,
  type HttpFaultProxyOptions,
  type HttpFaultProxyStats,
  createHttpFaultProxy,
} from './http/http-fault-proxy.ts';
export { type HttpFaultOptions, type HttpFaultKind, type HttpFaults } from './http/http-faults.ts';
export {
  type RedisFaultProxy,
  type RedisFaultProxyOptions,
  type RedisFaultProxyStats,
  createRedisFaultProxy,
} from './protocol/redis/redis-fault-proxy.ts';
export {
  type RedisErrorOptions,
  type RedisRedirectOptions,
  type RedisErrorKind,
  type RedisErrors,
} from './protocol/redis/redis-errors.ts';
export { ProtocolError } from '@holdfast/protocols';
export {
  type PostgresFaultProxy,
  type PostgresFaultProxyOptions,
  type PostgresFaultProxyStats,
  createPostgresFaultProxy,
} from './protocol/postgres/postgres-fault-proxy.ts';
export {
  type PostgresErrorOptions,
  type PostgresStatementErrorOptions,
  type PostgresErrorKind,
  type PostgresErrors,
} from './protocol/postgres/postgres-errors.ts';
export { type ProxyAddresses } from './proxy/addresses.ts';
export {
  type TlsFaultProxy,
  type TlsFaultProxyOptions,
  type TlsFaultProxyStats,
  type TlsProxyFaultKind,
  createTlsFaultProxy,
  tlsProxyFaultKinds,
} from './tls/tls-fault-proxy.ts';
export { type TlsTarget } from './tls/tls-target.ts';
export {
  type ToxiproxyServer,
  type ToxiproxyServerOptions,
  createToxiproxyServer,
} from './toxiproxy/toxiproxy-server.ts';
export { HostCommandError } from './host/command.ts';
export {
  ClockClosedError,
  type ClockOptions,
  type PreparedClock,
  prepareClock,
} from './host/clock.ts';
export {
  type HostFaultKind,
  HostFaultUnavailableError,
  type HostFaultAvailability,
  checkHostFault,
} from './host/host-capabilities.ts';
export { limitDescriptors } from './host/descriptors.ts';
export {
  type PartitionOptions,
  type Sandbox,
  type SandboxOptions,
  openSandbox,
} from './host/sandbox.ts';
export {
  ResourceFaultError,
  type ResourceFaultsOptions,
  type ResourceVictim,
  createResourceFaults,
} from './resources/resource-faults.ts';
export { type ResourceFaultKind, type ResourceFaults } from './resources/resource-kinds.ts';
