import { requireNode } from '@holdfast/foundation';
import { type HttpListener, listen } from '../serving/http-listener.ts';
import { Portal, type PortalFault, type PortalStats } from './portal.ts';
import { type PortalOptions, parsePortalSettings } from './settings.ts';

/** An emulated portal in this process. */
export interface PortalServer extends HttpListener {
  /** The address of a layer, without the query. */
  endpoint(state: string, layer: string): string;
  /** Sets the fault of each request for a layer, such as `WI/congressional`, or takes it away. */
  setFault(layer: string, fault: PortalFault | undefined): void;
  /** Replaces the options. @throws InvalidOptionError */
  configure(options: PortalOptions): void;
  getStats(): PortalStats;
}

/**
 * Starts a portal of districts with the REST API of ArcGIS, and seeded faults.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createPortalServer(options: PortalOptions = {}): Promise<PortalServer> {
  const owner = 'createPortalServer';
  requireNode(owner);
  const portal = new Portal(parsePortalSettings(owner, options));
  const listener = await listen(portal, { host: '127.0.0.1', port: 0 });
  return Object.assign(listener, {
    endpoint: (state: string, layer: string) =>
      `${listener.url}/arcgis/rest/services/${state}/${layer}`,
    setFault: (layer: string, fault: PortalFault | undefined) => portal.setFault(layer, fault),
    configure: (next: PortalOptions) => portal.apply(parsePortalSettings(owner, next)),
    getStats: () => portal.getStats(),
  });
}
