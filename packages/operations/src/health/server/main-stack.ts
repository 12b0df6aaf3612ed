import { Session } from 'node:inspector';
import type { Clock } from '@holdfast/foundation';

/** A frame as the debugger tells it. */
interface CallFrame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

const MAX_FRAMES = 20;

/**
 * Where the main thread is, as this thread sees it: its inspector is told to pause, and goes on as soon as the stack is
 * read, which takes milliseconds. A thread in native code, such as a synchronous child process, does not pause:
 * `undefined` after `timeoutMs`. Never rejects.
 */
export function captureMainStack(
  clock: Clock,
  timeoutMs: number,
): Promise<readonly string[] | undefined> {
  return new Promise((resolve) => {
    const session = new Session();
    const end = (stack: readonly string[] | undefined): void => {
      timer.cancel();
      try {
        // Ends a pause too, and forgets one that has been asked for.
        session.disconnect();
      } catch {
        // It was not connected.
      }
      resolve(stack);
    };
    const timer = clock.schedule(timeoutMs, () => end(undefined));
    // A frame names its script by a number, which is told when the debugger is turned on.
    const urls = new Map<string, string>();
    session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url));
    try {
      session.connectToMainThread();
      session.once('Debugger.paused', ({ params }) => {
        const stack = params.callFrames.slice(0, MAX_FRAMES).map((frame) => frameOf(frame, urls));
        session.post('Debugger.resume', () => end(stack));
      });
      session.post('Debugger.enable');
      session.post('Debugger.pause');
    } catch {
      end(undefined);
    }
  });
}

/** The function, and its place without the folders, which say more of the machine than of the stall. */
function frameOf({ functionName, location }: CallFrame, urls: Map<string, string>): string {
  const url = urls.get(location.scriptId) ?? '';
  const file = url.slice(url.lastIndexOf('/') + 1);
  const name = functionName === '' ? '(anonymous)' : functionName;
  return file === '' ? name : `${name} (${file}:${location.lineNumber + 1})`;
}
