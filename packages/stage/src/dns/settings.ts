import { InvalidOptionError, type Rule, readOptions } from '@holdfast/resilience/foundation';
import { type DnsFault, faultRule } from './faults.ts';
import { type DnsRecord, recordRule } from './record.ts';

export interface DnsOptions {
  /** What is known; every other name does not exist. */
  records?: readonly DnsRecord[];
  /** What goes wrong from the beginning. */
  faults?: readonly DnsFault[];
}

/** All that a DNS server is told. */
export interface DnsSettings {
  readonly records: readonly DnsRecord[];
  readonly faults: readonly DnsFault[];
}

const MAX_ENTRIES = 10_000;

const shape = { records: listOf(recordRule), faults: listOf(faultRule) };

/** Options with their defaults. @throws InvalidOptionError naming the field, from `path` on. */
export function readDnsSettings(owner: string, given: unknown, path?: string): DnsSettings {
  return readOptions(owner, shape, given, path);
}

function listOf<T>(rule: Rule<T>): Rule<readonly T[]> {
  return {
    permitted: `an array of up to ${MAX_ENTRIES} objects`,
    accepts(value, field, owner) {
      if (!Array.isArray(value) || value.length > MAX_ENTRIES) {
        throw new InvalidOptionError(owner, field, value, this.permitted);
      }
      return value.map((each: unknown, place) => rule.accepts(each, `${field}[${place}]`, owner));
    },
    absent: () => [],
  };
}
