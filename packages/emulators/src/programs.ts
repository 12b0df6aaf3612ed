/** For the stage, which runs the servers as programs: their settings, files, control path and probes. */
export { CONTROL_PATH } from './control/control-server.ts';
export { parseArguments, serve } from './control/program.ts';
export { programFiles } from './control/program-files.ts';
export { type EmulatorProgram, programUrl } from './control/program-url.ts';
export { lookupBy, createResolver } from './dns/lookup.ts';
export { probeDns } from './dns/query.ts';
export { type DnsSettings, parseDnsSettings } from './dns/settings.ts';
export { type EsimGoSettings, parseEsimGoSettings } from './esim-go/api/options.ts';
export { parseHead } from './git/cgi.ts';
export { type GitSettings, parseGitSettings, repositoryRule } from './git/settings.ts';
export { parsePattern } from './http/path-pattern.ts';
export { type UpstreamSettings, parseUpstreamSettings } from './http/settings.ts';
export { faultRulesRule } from './serving/fault-rules.ts';
export { openS3Handler } from './s3/handler.ts';
export { parseS3ServerOptions } from './s3/options.ts';
export { type S3Settings, type S3StageOptions, parseS3Settings } from './s3/settings.ts';
export { parseGatewayRoutes } from './supabase/gateway/settings.ts';
export { createGateway } from './supabase/gateway/gateway.ts';
export { openSupabaseHandler } from './supabase/handler.ts';
export { signToken } from './supabase/jwt.ts';
export { parseSupabaseOptions } from './supabase/options.ts';
export { assertLiteIsInstalled } from './supabase/rest.ts';
export {
  type SupabaseSettings,
  type SupabaseStageFaults,
  type SupabaseStageOptions,
  parseStageFaults,
  parseSupabaseSettings,
} from './supabase/settings.ts';
export { probeTls } from './tls/handshake.ts';
export { type TlsSettings, protocolRule, parseTlsSettings } from './tls/settings.ts';
