import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  HoldfastError,
  InvalidOptionError,
  type OptionRule,
  type Timer,
  integer,
  optional,
  parseOptions,
  settlesWithin,
  string,
  systemClock,
} from '@holdfast/foundation';
import { afterOwnEnd } from '../host/after-own-end.ts';
import { type AgentRequest, isAgentResponse } from './agent-protocol.ts';
import { DiskFault } from './disk-fault.ts';
import {
  type AgentFaultKind,
  type ResourceFaultKind,
  type ResourceFaults,
  agentFaultKinds,
  parseResourceFault,
} from './resource-kinds.ts';

/** The process could not take or release a resource, did not answer, or has ended. */
export class ResourceFaultError extends HoldfastError {
  readonly code = 'FAULTS_RESOURCE_FAULT_FAILED';

  constructor(kind: ResourceFaultKind | 'close', reason: string, cause?: unknown) {
    super(
      `resource fault ${kind}: ${reason}; a process that has ended has released everything, and close() ends it`,
      { outcome: 'unknown', cause },
    );
  }
}

/** Options of `createResourceFaults`. */
export interface ResourceFaultsOptions {
  /** The path of the victim's module, which Node runs in a process of its own. */
  module: string;
  /** The arguments of the module. Default: none. */
  args?: readonly string[];
  /**
   * How long the process may take to answer, besides the time of a `stall`. One that spins or is stopped does not.
   * Default 60 000.
   */
  responseTimeoutMs?: number;
}

/**
 * A process whose resources are taken for a bounded time and by a bounded amount. It runs until it is closed or exits, or
 * until this process ends in any way. With it everything is released.
 */
export interface ResourceVictim {
  /** The module may send its own messages; those of the faults have a field that begins with `holdfast`. */
  readonly child: ChildProcess;
  readonly faults: {
    /**
     * Resolves when the resource is taken, or when a `stall` is over. An earlier fault of the kind is released first.
     * @throws InvalidOptionError, ResourceFaultError
     */
    set<Kind extends ResourceFaultKind>(kind: Kind, options: ResourceFaults[Kind]): Promise<void>;
    /** Resolves when the resource is released. @throws ResourceFaultError */
    clear(kind: ResourceFaultKind): Promise<void>;
  };
  /** Releases every resource. @throws ResourceFaultError */
  heal(): Promise<void>;
  /**
   * Ends the process by SIGKILL, also one that spins or is stopped, which releases everything.
   * @throws ResourceFaultError when the system does not end it within ten seconds.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const argsRule: OptionRule<readonly string[] | undefined> = optional({
  permitted: 'a list of strings',
  parse(value, field, owner) {
    if (!isStrings(value)) throw new InvalidOptionError(owner, field, value, 'a list of strings');
    return value;
  },
});
const shape = {
  module: string({ maxLength: 4_096 }),
  args: argsRule,
  responseTimeoutMs: integer({ min: 1, max: 86_400_000, default: 60_000 }),
};
const CLOSE_TIMEOUT_MS = 10_000;
const ENDED = 'the process has ended';

/** Starts the victim without a fault. @throws InvalidOptionError */
export function createResourceFaults(options: ResourceFaultsOptions): ResourceVictim {
  const {
    module,
    args = [],
    responseTimeoutMs,
  } = parseOptions('createResourceFaults', shape, options);
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const agent = `${import.meta.dirname}/resource-agent.${extension}`;
  const child = fork(module, [...args], { execArgv: ['--import', agent] });
  return new VictimProcess(child, responseTimeoutMs);
}

interface Waiting {
  readonly settle: (failure: string | undefined) => void;
  readonly timer: Timer;
}

class VictimProcess implements ResourceVictim {
  readonly child: ChildProcess;
  readonly faults: ResourceVictim['faults'] = {
    set: async (kind, given) => {
      const fault = parseResourceFault(kind, given);
      if (kind === 'disk') await this.#changeDisk(() => this.#disk.set(fault));
      else await this.#request(kind, fault);
    },
    clear: async (kind) => {
      if (kind === 'disk') await this.#changeDisk(() => this.#disk.clear());
      else await this.#request(kind);
    },
  };
  readonly #responseTimeoutMs: number;
  readonly #disk = new DiskFault();
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #requests = 0;
  #closing: Promise<void> | undefined;

  constructor(child: ChildProcess, responseTimeoutMs: number) {
    this.child = child;
    this.#responseTimeoutMs = responseTimeoutMs;
    this.#ended = once(child, 'exit');
    this.#ended.catch(() => {});
    // A process that is stopped does not notice the end of this one.
    const release = afterOwnEnd(['kill', '-KILL', String(child.pid)]);
    child.on('message', (message) => {
      if (isAgentResponse(message)) this.#settle(message.holdfastResponse, message.failure);
    });
    child.on('error', () => {});
    child.once('exit', () => {
      release();
      for (const number of this.#waiting.keys()) this.#settle(number, ENDED);
      void this.#disk.clear().catch(() => {});
    });
  }

  async heal(): Promise<void> {
    await this.#changeDisk(() => this.#disk.clear());
    for (const kind of agentFaultKinds) await this.#request(kind);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.child.kill('SIGKILL');
    const ended = this.child.pid === undefined ? Promise.resolve() : this.#ended;
    const all = Promise.allSettled([ended, this.#disk.clear()]);
    if (await settlesWithin(systemClock, CLOSE_TIMEOUT_MS, all)) return;
    throw new ResourceFaultError('close', `not ended ${CLOSE_TIMEOUT_MS} ms after SIGKILL`);
  }

  #settle(number: number, failure: string | undefined): void {
    const waiting = this.#waiting.get(number);
    waiting?.timer.cancel();
    this.#waiting.delete(number);
    waiting?.settle(failure);
  }

  #request(kind: AgentFaultKind, fault?: AgentRequest['fault']): Promise<void> {
    this.#requests += 1;
    const number = this.#requests;
    const limitMs = this.#responseTimeoutMs + (kind === 'stall' ? (fault?.forMs ?? 0) : 0);
    return new Promise((resolve, reject) => {
      const settle = (failure: string | undefined): void => {
        if (failure === undefined) resolve();
        else reject(new ResourceFaultError(kind, failure));
      };
      if (!this.child.connected) {
        settle(ENDED);
        return;
      }
      const expire = (): void =>
        this.#settle(number, `no answer within ${limitMs} ms, it may spin or be stopped`);
      this.#waiting.set(number, { settle, timer: systemClock.schedule(limitMs, expire) });
      this.child.send({
        holdfastRequest: number,
        kind,
        ...(fault === undefined ? {} : { fault }),
      });
    });
  }

  /** @throws ResourceFaultError */
  async #changeDisk(change: () => Promise<void>): Promise<void> {
    if (!this.child.connected) throw new ResourceFaultError('disk', ENDED);
    try {
      await change();
    } catch (error) {
      throw new ResourceFaultError('disk', String(error), error);
    }
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
