import {
  type ReadResourceFault,
  type ResourceFaultKind,
  resourceFaultKinds,
} from './resource-kinds.ts';

/** What the agent is told; without a fault, to give the resource back. */
export interface Order {
  readonly holdfastOrder: number;
  readonly kind: ResourceFaultKind;
  readonly fault?: ReadResourceFault;
}

/** What it answers. */
export interface Done {
  readonly holdfastDone: number;
  readonly failure?: string;
}

export function isOrder(message: unknown): message is Order {
  return (
    typeof message === 'object' &&
    message !== null &&
    'holdfastOrder' in message &&
    'kind' in message &&
    resourceFaultKinds.some((kind) => kind === message.kind)
  );
}

export function isDone(message: unknown): message is Done {
  return typeof message === 'object' && message !== null && 'holdfastDone' in message;
}
