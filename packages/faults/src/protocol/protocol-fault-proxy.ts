import type { DecisionLog, Decisions } from '../decision-log.ts';
import { ProxyClosedError } from '../errors.ts';
import type { CountedFault, FaultInjector } from '../fault-injector.ts';
import type { ProtocolProxy, ProtocolProxyStats } from './protocol-proxy.ts';

export interface ProtocolFaultProxyStats<Word extends string> extends ProtocolProxyStats {
  readonly seed: number;
  /** How many commands, statements or connections each refusal has struck. */
  readonly injected: Readonly<Partial<Record<Word, number>>>;
}

/** A proxy that refuses in a server's own words. `Words` has the options of each. */
export interface ProtocolFaultProxy<Words extends object> {
  readonly host: string;
  readonly port: number;
  readonly faults: {
    /** In force from the next call on. @throws InvalidOptionError, ProxyClosedError */
    set<Word extends keyof Words & string>(word: Word, options?: Words[Word]): void;
    clear(word: keyof Words & string): void;
    list(): readonly (keyof Words & string)[];
  };
  /** Clears every refusal. */
  heal(): void;
  getStats(): ProtocolFaultProxyStats<keyof Words & string>;
  /** What chance has struck and spared; equal for equal seeds. */
  decisions(): Decisions;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param read checks the options of a refusal. */
export function protocolFaultProxy<Words extends object, Fault extends CountedFault>(
  proxy: ProtocolProxy,
  parts: {
    readonly seed: number;
    readonly log: DecisionLog;
    readonly strikes: FaultInjector<keyof Words & string, Fault>;
    readonly read: (word: keyof Words & string, given: unknown) => Fault;
  },
): ProtocolFaultProxy<Words> {
  const { seed, log, strikes, read } = parts;
  let isClosed = false;
  const close = (): Promise<void> => {
    isClosed = true;
    strikes.clearAll();
    return proxy.close();
  };
  return {
    host: proxy.host,
    port: proxy.port,
    faults: {
      set(word, given) {
        if (isClosed) throw new ProxyClosedError();
        strikes.set(word, read(word, given));
      },
      clear: (word) => strikes.clear(word),
      list: () => strikes.list(),
    },
    heal: () => strikes.clearAll(),
    getStats: () => ({ seed, ...proxy.getStats(), injected: strikes.injected() }),
    decisions: () => log.read(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
