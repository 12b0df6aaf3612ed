import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { parseKind } from '../options/kind.ts';
import { withoutUndefined } from '../options/without-undefined.ts';
import { type DnsRecordType, addressRule, nameRule, ttlRule } from '@holdfast/protocols/dns';

interface FaultScope {
  /** The name it affects. Default: all. */
  readonly name?: string;
  /** The type of record asked for, such as `AAAA`. Default: all. */
  readonly type?: DnsRecordType;
  /** The number of queries it affects. Default: all. */
  readonly times?: number;
}

/**
 * A fault of the DNS server. `nxdomain`, `servfail`, `refused`: responds with this code, whatever the records.
 * `nodata`: responds that the name has no such record. `slow`: responds after `delayMs`. `dropped`: never responds.
 * `truncated`: sets the TC bit over UDP, so that the client repeats the query over TCP. `malformed`: responds with the
 * first half of the response. `ttlFlip`: responses alternate between two TTLs. `rotated`: each response has the records
 * in another order. `wrongAnswer`: every address is a wrong one. `forged`: a response with a wrong address comes over
 * UDP before the true one, which `slow` delays and `dropped` prevents.
 */
export type DnsFault =
  | (FaultScope & {
      readonly kind:
        | 'nxdomain'
        | 'servfail'
        | 'refused'
        | 'nodata'
        | 'dropped'
        | 'truncated'
        | 'malformed'
        | 'rotated';
    })
  | (FaultScope & { readonly kind: 'slow'; readonly delayMs: number })
  | (FaultScope & { readonly kind: 'ttlFlip'; readonly ttlSeconds: readonly [number, number] })
  | (FaultScope & {
      readonly kind: 'wrongAnswer';
      /** Default: the documentation addresses 192.0.2.1 and 2001:db8::1, where no server listens. */
      readonly address?: string;
    })
  | (FaultScope & {
      readonly kind: 'forged';
      /** What tells the forged response from a true one: the id, the port it is from, or what it answers. */
      readonly by: DnsForgery;
    });

/** `case`: the letters of the question are all small; `question`: it answers for another name. */
export type DnsForgery = 'id' | 'port' | 'question' | 'case';

/** The name of a fault of DNS. */
export type DnsFaultKind = DnsFault['kind'];

const LONGEST_MS = 3_600_000;
const kindRule = oneOf<DnsFaultKind>([
  'nxdomain',
  'servfail',
  'refused',
  'nodata',
  'slow',
  'dropped',
  'truncated',
  'malformed',
  'ttlFlip',
  'rotated',
  'wrongAnswer',
  'forged',
]);

const ttlPairRule: OptionRule<readonly [number, number]> = {
  permitted: `an array of two TTLs, each ${ttlRule.permitted}`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length !== 2) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const [one, other]: readonly unknown[] = value;
    return [ttlRule.parse(one, `${field}[0]`, owner), ttlRule.parse(other, `${field}[1]`, owner)];
  },
};

const scopeShape = {
  kind: kindRule,
  name: optional(nameRule),
  type: optional(oneOf<DnsRecordType>(['A', 'AAAA', 'CNAME', 'TXT', 'SRV', 'SOA'])),
  times: optional(integer({ min: 1, max: 1_000_000 })),
};
const shapes = {
  slow: { ...scopeShape, delayMs: integer({ min: 1, max: LONGEST_MS }) },
  ttlFlip: { ...scopeShape, ttlSeconds: ttlPairRule },
  wrongAnswer: { ...scopeShape, address: optional(addressRule()) },
  forged: { ...scopeShape, by: oneOf<DnsForgery>(['id', 'port', 'question', 'case']) },
};

/** A fault, with the fields of its kind. */
export const dnsFaultRule: OptionRule<DnsFault> = {
  permitted: 'a fault',
  parse(value, field, owner) {
    const kind = parseKind(kindRule, value, field, owner);
    if (kind === 'slow') {
      return { ...withoutUndefined(parseOptions(owner, shapes.slow, value, field)), kind };
    }
    if (kind === 'ttlFlip') {
      return { ...withoutUndefined(parseOptions(owner, shapes.ttlFlip, value, field)), kind };
    }
    if (kind === 'wrongAnswer') {
      return { ...withoutUndefined(parseOptions(owner, shapes.wrongAnswer, value, field)), kind };
    }
    if (kind === 'forged') {
      return { ...withoutUndefined(parseOptions(owner, shapes.forged, value, field)), kind };
    }
    return { ...withoutUndefined(parseOptions(owner, scopeShape, value, field)), kind };
  },
};

/** Chooses the faults of a query, and counts how often each was injected. */
interface DnsFaultInjector {
  /** The faults of a query for `name`, in the order they were set. @param type such as `A` */
  inject(name: string, type: string): readonly InjectedDnsFault[];
}

export interface InjectedDnsFault {
  readonly fault: DnsFault;
  /** How often the fault has been injected, this time included. */
  readonly injection: number;
}

export function createDnsFaultInjector(faults: readonly DnsFault[]): DnsFaultInjector {
  const injections = new Map<DnsFault, number>();
  return {
    inject(name, type) {
      return faults.flatMap((fault) => {
        const isOfName =
          fault.name === undefined || fault.name.toLowerCase() === name.toLowerCase();
        const applies = isOfName && (fault.type === undefined || fault.type === type);
        const injection = (injections.get(fault) ?? 0) + 1;
        if (!applies || injection > (fault.times ?? Infinity)) return [];
        injections.set(fault, injection);
        return [{ fault, injection }];
      });
    },
  };
}
