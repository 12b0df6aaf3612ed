import { errorCodeOf } from './fields.ts';
import { listChildren, listWorkingIn, readProcess } from './process-table.ts';

/** One process of a tree; the start time distinguishes it from a later process with the same pid. */
export interface TreeMember {
  readonly pid: number;
  readonly startTime: string;
}

export function isAlive({ pid, startTime }: TreeMember): boolean {
  return readProcess(pid)?.startTime === startTime;
}

/** Between two looks at the process table; rejects to end the waiting. */
type Pause = () => Promise<void>;

/** How often a tree is looked at until it is suspended, before it is killed all the same. */
const MAX_FREEZE_PASSES = 200;

/**
 * Stops a process and all its descendants (SIGSTOP), and resolves with them when each is stopped or has ended.
 * A signal takes effect a moment after it was sent, and until then its process may start another one: the tree
 * is complete once all were stopped before their children were listed.
 */
export async function freezeTree(
  root: number,
  pause: Pause,
  maxPasses: number = Number.POSITIVE_INFINITY,
): Promise<TreeMember[]> {
  const tree = new Map<number, TreeMember>();
  for (let pass = 1; ; pass += 1) {
    const wereStopped = [...tree.values()].every(isStopped);
    const known = tree.size;
    for (const pid of listTree(root)) {
      if (tree.has(pid)) continue;
      for (const member of memberOf(pid)) tree.set(pid, member);
      send(pid, 'SIGSTOP');
    }
    const isComplete = wereStopped && tree.size === known;
    if (isComplete || pass >= maxPasses) return [...tree.values()];
    await pause();
  }
}

function isStopped(member: TreeMember): boolean {
  return readProcess(member.pid)?.frozen !== false || !isAlive(member);
}

/** Continues a process and all its descendants (SIGCONT); children first, so that none is missed. */
export function thawTree(root: number): TreeMember[] {
  const children = listChildren(root).flatMap(thawTree);
  const self = memberOf(root);
  send(root, 'SIGCONT');
  return [...self, ...children];
}

/** Kills a process and all its descendants (SIGKILL), and resolves when they have ended. */
export async function killTree(root: number, pause: Pause): Promise<void> {
  const tree = await freezeTree(root, pause, MAX_FREEZE_PASSES);
  for (const { pid } of tree) send(pid, 'SIGKILL');
  while (tree.some(isAlive)) await pause();
}

/**
 * Kills every process that works in a folder or below it, and resolves when none is left: those that a process
 * leaves when it ends by itself, or started while it was killed. Without /proc none is found.
 */
export async function killWorkingIn(folder: string, pause: Pause): Promise<void> {
  for (;;) {
    const left = listWorkingIn(folder).filter((pid) => pid !== process.pid);
    if (left.length === 0) return;
    for (const pid of left) send(pid, 'SIGKILL');
    await pause();
  }
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
