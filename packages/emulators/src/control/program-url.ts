/** A server of this package that can run as a program. */
export type EmulatorProgram =
  | 'dns'
  | 'esim-go'
  | 'git'
  | 'http'
  | 's3'
  | 'supabase'
  | 'supabase-gateway'
  | 'tls';

/** The program's main file: the source in the workspace, the built file when published. */
export function programUrl(program: EmulatorProgram): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const main = program === 'supabase-gateway' ? 'supabase/gateway/main' : `${program}/main`;
  return new URL(`../${main}${extension}`, import.meta.url);
}
