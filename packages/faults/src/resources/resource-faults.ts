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

/** The process could not take or give back a resource, or is gone. */
export class ResourceFaultError extends HoldfastError {
  readonly code = 'FAULTS_RESOURCE_FAULT_FAILED';

  constructor(kind: ResourceFaultKind, why: string) {
    super(`resource fault ${kind}: ${why}; a process that has ended has given everything back`, {
      outcome: 'unknown',
    });
  }
}

export interface ResourceFaultsOptions {
  /** The victim: the path of a module that Node runs in a process of its own. */
  module: string;
  args?: readonly string[];
}

/**
 * A process whose resources are taken from within, for a time and by an amount that are bounded. It lives
 * until it is closed or ends itself.
 */
export interface ResourceVictim {
  /** Its own messages are the module's affair; those of the faults have a field that begins with `holdfast`. */
  readonly child: ChildProcess;
  readonly faults: {
    /**
     * Resolves when the resource is taken, for a `stall` when it is over; what was set for the kind before
     * is given back first. @throws InvalidOptionError, ResourceFaultError
     */
    set<Kind extends ResourceFaultKind>(kind: Kind, options: ResourceFaults[Kind]): Promise<void>;
    /** Resolves when it is given back. @throws ResourceFaultError */
    clear(kind: ResourceFaultKind): Promise<void>;
  };
  /** Gives every resource back. @throws ResourceFaultError */
  heal(): Promise<void>;
  /** Gives every resource back, then ends the process. */
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

/** Starts the victim, with nothing taken from it. @throws InvalidOptionError */
export function createResourceFaults(options: ResourceFaultsOptions): ResourceVictim {
  const { module, args = [] } = parseOptions('createResourceFaults', shape, options);
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const agent = `${import.meta.dirname}/resource-agent.${extension}`;
  const child = fork(module, [...args], { execArgv: ['--import', agent] });
  const ended = once(child, 'exit');
  const waiting = new Map<number, (failure: string | undefined) => void>();
  let orders = 0;

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

  const order = (kind: ResourceFaultKind, fault?: AgentRequest['fault']): Promise<void> =>
    new Promise((resolve, reject) => {
      orders += 1;
      const settle = (failure: string | undefined): void => {
        if (failure === undefined) resolve();
        else reject(new ResourceFaultError(kind, failure));
      };
      if (!child.connected) {
        settle('the process has ended');
        return;
      }
      waiting.set(orders, settle);
      child.send({ holdfastRequest: orders, kind, ...(fault === undefined ? {} : { fault }) });
    });
  const heal = async (): Promise<void> => {
    for (const kind of resourceFaultKinds) await order(kind);
  };
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    // What a process takes in memory goes with it; a file does not.
    await heal().catch(() => {});
    child.kill('SIGKILL');
    if (child.pid !== undefined) await ended;
  };
  const close = (): Promise<void> => (closing ??= end());

  return {
    child,
    faults: {
      set: async (kind, given) => order(kind, parseResourceFault(kind, given)),
      clear: (kind) => order(kind),
    },
    heal,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
