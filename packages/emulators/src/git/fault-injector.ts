import type { GitFault, GitService } from './settings.ts';

/** The part of a request by which faults are chosen. */
interface GitCall {
  readonly service: GitService | undefined;
  /** Whether it carries the commits: the second request of a push. */
  readonly isDelivery: boolean;
}

/** Chooses the faults of a request, and counts how often each was injected. */
export interface GitFaultSelector {
  /** The faults of a request, in the order they were set. */
  take(call: GitCall): readonly GitFault[];
}

export function createGitFaultInjector(faults: readonly GitFault[]): GitFaultSelector {
  const entries = faults.map((fault) => ({ fault, left: fault.times ?? Infinity }));
  return {
    take: (call) =>
      entries.flatMap((entry) => {
        if (entry.left === 0 || !applies(entry.fault, call)) return [];
        entry.left -= 1;
        return [entry.fault];
      }),
  };
}

function applies(fault: GitFault, { service, isDelivery }: GitCall): boolean {
  if (fault.kind === 'rejectPush') return isDelivery;
  return fault.service === undefined || fault.service === service;
}
