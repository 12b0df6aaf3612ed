/** Folders that are remembered; the first of them is forgotten for the next. */
const MAX_FOLDERS = 256;

interface Folder {
  /** What calls have shown; `undefined`: nothing yet. */
  mayRead: boolean | undefined;
  /** The object that this process has written there last: what a read of it shows tells whether reads are permitted. */
  written: string | undefined;
}

/**
 * Where a client may read, by the first segments of keys. Servers answer the same to a read of an object that is
 * absent and of one that the client must not see: only what else is known tells the two apart.
 */
export class ReadRights {
  readonly #folders = new Map<string, Folder>();

  mayRead(key: string): boolean | undefined {
    return this.#folders.get(folderOf(key))?.mayRead;
  }

  /** The key of an object by which it can be found out, if it is not known yet; once for each write. */
  takeProbe(key: string): string | undefined {
    const folder = this.#folders.get(folderOf(key));
    if (folder === undefined || folder.mayRead !== undefined) return undefined;
    const { written } = folder;
    folder.written = undefined;
    return written;
  }

  wrote(key: string): void {
    this.#folder(key).written = key;
  }

  learned(key: string, mayRead: boolean): void {
    this.#folder(key).mayRead = mayRead;
  }

  #folder(key: string): Folder {
    const name = folderOf(key);
    const found = this.#folders.get(name);
    if (found !== undefined) return found;
    const [first] = this.#folders.keys();
    if (first !== undefined && this.#folders.size >= MAX_FOLDERS) this.#folders.delete(first);
    const made: Folder = { mayRead: undefined, written: undefined };
    this.#folders.set(name, made);
    return made;
  }
}

function folderOf(key: string): string {
  const end = key.indexOf('/');
  return end === -1 ? '' : key.slice(0, end);
}
