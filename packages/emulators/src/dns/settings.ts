import { parseOptions } from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';
import { type DnsFault, dnsFaultRule } from './faults.ts';
import { type DnsRecord, recordRule } from '@holdfast/protocols/dns';

/** Options of the DNS server. */
export interface DnsOptions {
  /** The records; every other name does not exist. */
  records?: readonly DnsRecord[];
  /** Faults from the start. */
  faults?: readonly DnsFault[];
}

/** The settings of the DNS program. */
export interface DnsSettings {
  readonly records: readonly DnsRecord[];
  readonly faults: readonly DnsFault[];
}

const MAX_ENTRIES = 10_000;

const shape = {
  records: listOf(recordRule, MAX_ENTRIES),
  faults: listOf(dnsFaultRule, MAX_ENTRIES),
};

/** Options with their defaults. @throws InvalidOptionError naming the field, from `path` on. */
export function parseDnsSettings(owner: string, given: unknown, path?: string): DnsSettings {
  return parseOptions(owner, shape, given, path);
}
