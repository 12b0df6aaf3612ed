/** What a conductor of the servers as programs needs: their settings, their files and the way to ask them. */
export { CONTROL_PATH } from './control/control-server.ts';
export { readEntry, serve } from './control/entry.ts';
export { programFiles } from './control/program-files.ts';
export { type EmulatorProgram, programUrl } from './control/program-url.ts';
export { lookupThrough, resolverOf } from './dns/lookup.ts';
export { askReady } from './dns/query.ts';
export { type DnsSettings, readDnsSettings } from './dns/settings.ts';
export { parseHead } from './git/cgi.ts';
export { type GitSettings, readGitSettings, repositoryRule } from './git/settings.ts';
export { parsePattern } from './http/path-pattern.ts';
export { type UpstreamSettings, readUpstreamSettings } from './http/settings.ts';
export { faultRulesRule } from './s3/fault-rules.ts';
export { openS3Handler } from './s3/handler.ts';
export { readS3ServerOptions } from './s3/options.ts';
export { type S3Settings, type S3StageOptions, readS3Settings } from './s3/settings.ts';
export { readGatewayRoutes } from './supabase/gateway-settings.ts';
export { createGateway } from './supabase/gateway.ts';
export { openSupabaseHandler } from './supabase/handler.ts';
export { signToken } from './supabase/jwt.ts';
export { readSupabaseOptions } from './supabase/options.ts';
export { assertLiteIsThere } from './supabase/rest.ts';
export {
  type SupabaseSettings,
  type SupabaseStageDisturbances,
  type SupabaseStageOptions,
  readStageDisturbances,
  readSupabaseSettings,
} from './supabase/settings.ts';
export { shakeHands } from './tls/handshake.ts';
export { type TlsSettings, protocolRule, readTlsSettings } from './tls/settings.ts';
