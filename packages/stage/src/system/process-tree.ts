import { errorCodeOf } from './fields.ts';
import { listChildren, readProcess } from './process-table.ts';

/** One process of a tree; the start time distinguishes it from a later process with the same pid. */
export interface TreeMember {
  readonly pid: number;
  readonly startTime: string;
}

export function isAlive({ pid, startTime }: TreeMember): boolean {
  return readProcess(pid)?.startTime === startTime;
}

/**
 * Stops a process and all its descendants (SIGSTOP). Parents first, because a stopped process starts no
 * further one.
 */
export function freezeTree(root: number): TreeMember[] {
  send(root, 'SIGSTOP');
  return [...memberOf(root), ...listChildren(root).flatMap(freezeTree)];
}

/** Continues a process and all its descendants (SIGCONT); children first, so that none is missed. */
export function thawTree(root: number): TreeMember[] {
  const children = listChildren(root).flatMap(thawTree);
  const self = memberOf(root);
  send(root, 'SIGCONT');
  return [...self, ...children];
}

/** Kills a process and all its descendants (SIGKILL), without waiting for their end. */
export function killTree(root: number): TreeMember[] {
  const tree = freezeTree(root);
  for (const { pid } of tree) send(pid, 'SIGKILL');
  return tree;
}

/** A process and all its descendants. */
export function listTree(root: number): number[] {
  return [root, ...listChildren(root).flatMap(listTree)];
}

function memberOf(pid: number): TreeMember[] {
  const startTime = readProcess(pid)?.startTime;
  return startTime === undefined ? [] : [{ pid, startTime }];
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has ended by itself.
    if (errorCodeOf(error) !== 'ESRCH') throw error;
  }
}
