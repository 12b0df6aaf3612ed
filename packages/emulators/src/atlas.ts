/** What an atlas of districts stands on, as servers of this process: a portal with the REST API of ArcGIS, gateways of IPFS. */
export {
  type IpfsGatewayMode,
  type IpfsGatewayOptions,
  type IpfsGatewayServer,
  createIpfsGateway,
} from './ipfs/gateway.ts';
export { type PortalFeature, portalDistricts, portalStates } from './portal/districts.ts';
export type { PortalFault, PortalStats } from './portal/portal.ts';
export { type PortalServer, createPortalServer } from './portal/server.ts';
export type { PortalOptions } from './portal/settings.ts';
