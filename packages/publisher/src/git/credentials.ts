import { callSafely } from '@holdfast/foundation';
import type { GitCredential } from './git-command.ts';

/** Holds the credential of a remote, and says when it has changed. */
export interface CredentialHolder {
  current(): GitCredential | undefined;
  /** Rises with each change. */
  version(): number;
  /** Replaces it; pushes that wait for another one are tried again. */
  set(credential: GitCredential | undefined): void;
  /** Calls the listener after each change; the returned function removes it. */
  onChange(listener: () => unknown): () => void;
}

/** A credential that can be replaced while the process runs. */
export function createCredentialHolder(initial?: GitCredential): CredentialHolder {
  let held = initial;
  let version = 0;
  const listeners = new Set<() => unknown>();
  return {
    current: () => held,
    version: () => version,
    set(credential) {
      const isSame =
        held?.username === credential?.username && held?.password === credential?.password;
      held = credential;
      if (isSame) return;
      version += 1;
      for (const listener of listeners) callSafely('a listener of a credential', listener);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
