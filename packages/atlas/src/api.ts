/** The lookup of districts over HTTP, with a map: needs `fastify` and `prom-client`. */
export type { ShadowAtlasAPIOptions } from './api/api-options.ts';
export type { LookupRequest, LookupResponse, ShadowAtlasStats } from './api/exchange.ts';
export { ShadowAtlasAPI } from './api/shadow-atlas-api.ts';
