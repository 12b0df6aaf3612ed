import type { GitFault, GitService } from './settings.ts';

/** One request to the remote, as far as a fault goes by it. */
interface GitCall {
  readonly service: GitService | undefined;
  /** Whether it brings the commits, which a push does with its second request. */
  readonly isDelivery: boolean;
}

/** The faults in force, and how often each may strike yet. */
export interface GitFaultInjector {
  /** Those that strike a request, in the order they were given; each counts as one strike. */
  inject(asked: GitCall): readonly GitFault[];
}

export function createGitFaultInjector(faults: readonly GitFault[]): GitFaultInjector {
  const entries = faults.map((fault) => ({ fault, left: fault.times ?? Infinity }));
  return {
    inject: (asked) =>
      entries.flatMap((entry) => {
        if (entry.left === 0 || !applies(entry.fault, asked)) return [];
        entry.left -= 1;
        return [entry.fault];
      }),
  };
}

function applies(fault: GitFault, { service, isDelivery }: GitCall): boolean {
  if (fault.kind === 'rejectPush') return isDelivery;
  return fault.service === undefined || fault.service === service;
}
