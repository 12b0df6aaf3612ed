import { types } from 'node:util';
import { listChildren, readProcess } from './process-table.ts';

/** One process of a tree; the birth tells it from a later one of the same number. */
export interface TreeMember {
  readonly pid: number;
  readonly startTime: string;
}

export function isAlive({ pid, startTime }: TreeMember): boolean {
  return readProcess(pid)?.startTime === startTime;
}

/**
 * Makes a process and all it has started stand still. Parents first, because one that stands still
 * starts no further process.
 */
export function freezeTree(root: number): TreeMember[] {
  send(root, 'SIGSTOP');
  return [...memberOf(root), ...listChildren(root).flatMap(freezeTree)];
}

/** Lets a process and all it has started go on; children first, so that none is missed. */
export function thawTree(root: number): TreeMember[] {
  const children = listChildren(root).flatMap(thawTree);
  const self = memberOf(root);
  send(root, 'SIGCONT');
  return [...self, ...children];
}

/** Ends a process and all it has started, as a crash would; the end of each is not waited for. */
export function killTree(root: number): TreeMember[] {
  const tree = freezeTree(root);
  for (const { pid } of tree) send(pid, 'SIGKILL');
  return tree;
}

/** A process and all it has started. */
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
    if (!types.isNativeError(error) || !('code' in error) || error.code !== 'ESRCH') throw error;
  }
}
