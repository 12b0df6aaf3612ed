import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  HoldfastError,
  InvalidOptionError,
  type OptionRule,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { type AgentRequest, isAgentResponse } from './agent-protocol.ts';
import {
  type ResourceFaultKind,
  type ResourceFaults,
  parseResourceFault,
  resourceFaultKinds,
} from './resource-kinds.ts';

/** The process could not take or release a resource, or has ended. */
export class ResourceFaultError extends HoldfastError {
  readonly code = 'FAULTS_RESOURCE_FAULT_FAILED';

  constructor(kind: ResourceFaultKind, reason: string) {
    super(`resource fault ${kind}: ${reason}; a process that has ended has released everything`, {
      outcome: 'unknown',
    });
  }
}

export interface ResourceFaultsOptions {
  /** The path of the victim's module, which Node runs in a process of its own. */
  module: string;
  args?: readonly string[];
}

/**
 * A process whose resources are taken from within, for a bounded time and by a bounded amount. It runs until it is
 * closed or exits.
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
  /** Releases every resource, then ends the process. */
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
const shape = { module: string({ maxLength: 4_096 }), args: argsRule };

/** Starts the victim without a fault. @throws InvalidOptionError */
export function createResourceFaults(options: ResourceFaultsOptions): ResourceVictim {
  const { module, args = [] } = parseOptions('createResourceFaults', shape, options);
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const agent = `${import.meta.dirname}/resource-agent.${extension}`;
  const child = fork(module, [...args], { execArgv: ['--import', agent] });
  const ended = once(child, 'exit');
  const waiting = new Map<number, (failure: string | undefined) => void>();
  let requests = 0;

  child.on('message', (message) => {
    if (!isAgentResponse(message)) return;
    waiting.get(message.holdfastResponse)?.(message.failure);
    waiting.delete(message.holdfastResponse);
  });
  child.on('error', () => {});
  child.once('exit', () => {
    for (const settle of waiting.values()) settle('the process has ended');
    waiting.clear();
  });

  const request = (kind: ResourceFaultKind, fault?: AgentRequest['fault']): Promise<void> =>
    new Promise((resolve, reject) => {
      requests += 1;
      const settle = (failure: string | undefined): void => {
        if (failure === undefined) resolve();
        else reject(new ResourceFaultError(kind, failure));
      };
      if (!child.connected) {
        settle('the process has ended');
        return;
      }
      waiting.set(requests, settle);
      child.send({ holdfastRequest: requests, kind, ...(fault === undefined ? {} : { fault }) });
    });
  const heal = async (): Promise<void> => {
    for (const kind of resourceFaultKinds) await request(kind);
  };
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    // Memory is released with the process; a file is not.
    await heal().catch(() => {});
    child.kill('SIGKILL');
    if (child.pid !== undefined) await ended;
  };
  const close = (): Promise<void> => (closing ??= end());

  return {
    child,
    faults: {
      set: async (kind, given) => request(kind, parseResourceFault(kind, given)),
      clear: (kind) => request(kind),
    },
    heal,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
