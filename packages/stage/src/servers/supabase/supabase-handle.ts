import type { SupabaseKeys, SupabaseRequestRecord } from '@holdfast/emulators';
import type { SupabaseStageFaults } from '@holdfast/emulators/programs';
import type { ServerHandle } from '../../handle/handle.ts';
import type { RequestRecords } from '../emulated/emulated-server.ts';

/**
 * A Supabase with its Storage and, with `rest`, PostgREST; `url` is the one for `createClient`. Objects,
 * unfinished uploads and faults survive a restart; the counts of faults and the requests do not. In Docker and
 * compose it is the gateway of the real servers in `behind`; the verbs for faults and requests reject with
 * FaultUnsupportedError there.
 */
export interface Supabase
  extends ServerHandle, SupabaseKeys, RequestRecords<SupabaseRequestRecord> {
  /** The URL of the Storage API. */
  readonly storageUrl: string;
  /** The real servers behind its gateway; absent when it is an emulated server. */
  readonly behind?: { readonly database: ServerHandle; readonly storage: ServerHandle };
  /** Signs a token with the server's secret, such as `{ role: 'authenticated', sub, exp }`. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
  /**
   * Replaces its faults; those that are not given are as at the opening, and `{}` heals.
   * @throws InvalidOptionError; StageStateError while it does not run
   */
  setFaults(faults: SupabaseStageFaults): Promise<void>;
}
