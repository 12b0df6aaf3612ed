import {
  type Clock,
  integer,
  objectWith,
  parseOptions,
  requireNode,
  string,
  systemClock,
} from '@holdfast/foundation';
import { type HttpListener, listen } from '../serving/http-listener.ts';
import type { EsimGoOptions } from './api/options.ts';
import { type EsimGoControls, createControlledApi } from './controls.ts';
import { createEsimGoHandler } from './http-handler.ts';

/** Options of `createEsimGoServer`. */
export interface EsimGoServerOptions extends EsimGoOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free port. */
  port?: number;
  /** The clock of delays and of the rate limit. */
  clock?: Clock;
}

/** The API of eSIM Go in this process. */
export interface EsimGoServer extends HttpListener, EsimGoControls {
  /** With the version, as clients are configured: `<url>/v2.5`. */
  readonly baseUrl: string;
}

const listenShape = {
  host: string({ maxLength: 255, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Starts the API of eSIM Go in this process, for tests.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createEsimGoServer(options: EsimGoServerOptions = {}): Promise<EsimGoServer> {
  const owner = 'createEsimGoServer';
  requireNode(owner);
  const { host, port, clock, ...apiOptions } = options;
  const at = parseOptions(owner, listenShape, { host, port, clock });
  const { api, controls } = createControlledApi(owner, apiOptions, at.clock);
  const listener = await listen(createEsimGoHandler(api, at.clock), at);
  return Object.assign(controls, listener, { baseUrl: `${listener.url}/v2.5` });
}
