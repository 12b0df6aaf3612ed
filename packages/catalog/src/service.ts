/** The catalog over HTTP: search, documents, status, health, metrics and a page, on Fastify 5 with prom-client. */
export type {
  CatalogListenOptions,
  CatalogService,
  CatalogServiceOptions,
  CatalogServiceStats,
} from './service/catalog-service.ts';
export { createCatalogService } from './service/create-catalog-service.ts';
export { CatalogEventsFullError, CatalogRequestTimeoutError } from './service/errors.ts';
