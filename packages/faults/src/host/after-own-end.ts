import { spawn } from 'node:child_process';

/**
 * Runs a command when this process has ended in any way, also by SIGKILL: a shell waits for the end of its input, which
 * the system closes. Returns a function that lets the shell go without the command.
 */
export function afterOwnEnd(command: readonly string[]): () => void {
  const script = 'read -r done || "$@"';
  const shell = spawn('sh', ['-c', script, 'sh', ...command], {
    // In a session of its own, so that a signal to this process's group does not reach it.
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Where there is no shell, cleaning up ends with this process.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return () => void shell.stdin.end('done\n');
}
