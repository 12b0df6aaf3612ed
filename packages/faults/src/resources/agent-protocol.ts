import {
  type AgentFaultKind,
  type ResolvedResourceFault,
  agentFaultKinds,
} from './resource-kinds.ts';

/** A request to the agent: to take a resource or, without a fault, to release it. */
export interface AgentRequest {
  readonly holdfastRequest: number;
  readonly kind: AgentFaultKind;
  readonly fault?: ResolvedResourceFault;
}

/** The agent's response. */
interface AgentResponse {
  readonly holdfastResponse: number;
  readonly failure?: string;
}

export function isAgentRequest(message: unknown): message is AgentRequest {
  return (
    typeof message === 'object' &&
    message !== null &&
    'holdfastRequest' in message &&
    'kind' in message &&
    agentFaultKinds.some((kind) => kind === message.kind)
  );
}

export function isAgentResponse(message: unknown): message is AgentResponse {
  return typeof message === 'object' && message !== null && 'holdfastResponse' in message;
}
