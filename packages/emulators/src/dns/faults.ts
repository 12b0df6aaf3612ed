import {
  InvalidOptionError,
  type OptionRule,
  integer,
  oneOf,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { addressRule, nameRule, ttlRule } from '@holdfast/protocols/dns';

interface FaultScope {
  /** The one name it strikes. Default: all. */
  readonly name?: string;
  /** How many queries it strikes before it is spent. Default: all. */
  readonly times?: number;
}

/**
 * What the server does wrong. `nxdomain`, `servfail`, `refused`: says so, whatever it knows. `slow`: answers
 * after `delayMs`. `dropped`: never answers. `truncated`: says over UDP that there is more, so that who
 * asked comes again over TCP. `ttlFlip`: each answer has the other of two TTLs. `wrongAnswer`: every address
 * is that of somebody else.
 */
export type DnsFault =
  | (FaultScope & {
      readonly kind: 'nxdomain' | 'servfail' | 'refused' | 'dropped' | 'truncated';
    })
  | (FaultScope & { readonly kind: 'slow'; readonly delayMs: number })
  | (FaultScope & { readonly kind: 'ttlFlip'; readonly ttlSeconds: readonly [number, number] })
  | (FaultScope & {
      readonly kind: 'wrongAnswer';
      /** Default: addresses for documentation, 192.0.2.1 and 2001:db8::1, where nobody answers. */
      readonly address?: string;
    });

export type DnsFaultKind = DnsFault['kind'];

const LONGEST_MS = 3_600_000;
const kindRule = oneOf<DnsFaultKind>([
  'nxdomain',
  'servfail',
  'refused',
  'slow',
  'dropped',
  'truncated',
  'ttlFlip',
  'wrongAnswer',
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
  times: optional(integer({ min: 1, max: 1_000_000 })),
};
const shapes = {
  plain: scopeShape,
  slow: { ...scopeShape, delayMs: integer({ min: 1, max: LONGEST_MS }) },
  ttlFlip: { ...scopeShape, ttlSeconds: ttlPairRule },
  wrongAnswer: { ...scopeShape, address: optional(addressRule()) },
};

/** One fault, checked by the rules of its kind. */
export const dnsFaultRule: OptionRule<DnsFault> = {
  permitted: 'an object',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const given = 'kind' in value ? value.kind : undefined;
    const kind = kindRule.parse(given, `${field}.kind`, owner);
    if (kind === 'slow') {
      const { delayMs, ...rest } = parseOptions(owner, shapes.slow, value, field);
      return { ...scopeOf(rest), kind, delayMs };
    }
    if (kind === 'ttlFlip') {
      const { ttlSeconds, ...rest } = parseOptions(owner, shapes.ttlFlip, value, field);
      return { ...scopeOf(rest), kind, ttlSeconds };
    }
    if (kind === 'wrongAnswer') {
      const { address, ...rest } = parseOptions(owner, shapes.wrongAnswer, value, field);
      return { ...scopeOf(rest), kind, ...(address !== undefined && { address }) };
    }
    return { ...scopeOf(parseOptions(owner, shapes.plain, value, field)), kind };
  },
};

function scopeOf({
  name,
  times,
}: {
  name: string | undefined;
  times: number | undefined;
}): FaultScope {
  return { ...(name !== undefined && { name }), ...(times !== undefined && { times }) };
}

/** The faults in force, and how often each has struck. */
export interface DnsFaultInjector {
  /** Those that strike a query for `name`, in the order they were given; each counts as one strike. */
  inject(name: string): readonly InjectedDnsFault[];
}

export interface InjectedDnsFault {
  readonly fault: DnsFault;
  /** Which of its strikes this is, from 1. */
  readonly injection: number;
}

export function createDnsFaultInjector(faults: readonly DnsFault[]): DnsFaultInjector {
  const injections = new Map<DnsFault, number>();
  return {
    inject(name) {
      return faults.flatMap((fault) => {
        const applies = fault.name === undefined || fault.name.toLowerCase() === name.toLowerCase();
        const injection = (injections.get(fault) ?? 0) + 1;
        if (!applies || injection > (fault.times ?? Infinity)) return [];
        injections.set(fault, injection);
        return [{ fault, injection }];
      });
    },
  };
}
