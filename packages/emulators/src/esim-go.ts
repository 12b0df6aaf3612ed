/** The API of eSIM Go as a server of this process, and bundles for tests. */
export type { EsimGoRequestRecord, EsimGoStats } from './esim-go/api/esim-go-api.ts';
export type {
  EsimGoCall,
  EsimGoFault,
  EsimGoFaultHook,
  EsimGoFaultRule,
  EsimGoOperation,
} from './esim-go/api/faults.ts';
export type { EsimGoOptions, EsimGoRateLimit } from './esim-go/api/options.ts';
export type { RateLimitStats } from './esim-go/api/rate-limit.ts';
export type {
  ESIMGoAllowance,
  ESIMGoCountry,
  ESIMGoDataPlan,
} from './esim-go/catalog/data-plan.ts';
export type { EsimGoControls } from './esim-go/controls.ts';
export {
  type EsimGoServer,
  type EsimGoServerOptions,
  createEsimGoServer,
} from './esim-go/server.ts';
export { TestDataFactory } from './esim-go/test-data-factory.ts';
