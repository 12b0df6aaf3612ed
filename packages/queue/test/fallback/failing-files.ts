import { type FileSystem, nodeFileSystem, openJournal } from '@holdfast/journal';
import type { JournalFactory } from '../../src/fallback/open-fallback.ts';
import { diskJournals } from '../../src/fallback/open-fallback.ts';

/** What the next calls to the disk do: `hang` until the gate opens, fail with a code of the system, or `work`. */
export interface DiskState {
  readonly kind: 'work' | 'hang' | 'fail';
  readonly code?: string;
  /** Only calls that match, such as `write /path`. Default: all. */
  readonly matches?: (call: string) => boolean;
}

/** The real disk, whose calls hang or fail when the test says so. */
export class FailingDisk {
  readonly journals: JournalFactory = {
    open: (options) => openJournal({ ...options, files: this.#files }),
    exists: (directory) => this.#call(`access ${directory}`, () => diskJournals.exists(directory)),
  };
  /** The number of calls that have hung. */
  hung = 0;
  #state: DiskState = { kind: 'work' };
  #gate = Promise.withResolvers<void>();
  readonly #files: FileSystem;

  constructor() {
    const call = this.#call.bind(this);
    this.#files = {
      ...nodeFileSystem,
      open: (path, mode) =>
        call(`open ${path}`, async () => {
          const file = await nodeFileSystem.open(path, mode);
          return {
            ...file,
            write: (...given) => call(`write ${path}`, () => file.write(...given)),
            writeThrough: (...given) => call(`write ${path}`, () => file.writeThrough(...given)),
            read: (...given) => call(`read ${path}`, () => file.read(...given)),
            sync: () => call(`sync ${path}`, () => file.sync()),
          };
        }),
      list: (path) => call(`list ${path}`, () => nodeFileSystem.list(path)),
      makeDirectory: (path) => call(`mkdir ${path}`, () => nodeFileSystem.makeDirectory(path)),
      status: (path) => call(`status ${path}`, () => nodeFileSystem.status(path)),
    };
  }

  set(state: DiskState): void {
    this.#state = state;
    if (state.kind === 'hang') return;
    this.#gate.resolve();
    this.#gate = Promise.withResolvers();
  }

  async #call<T>(name: string, make: () => Promise<T>): Promise<T> {
    const { kind, code = 'EIO', matches } = this.#state;
    if (kind !== 'work' && matches?.(name) !== false) {
      if (kind === 'fail') throw Object.assign(new Error(`injected ${code}`), { code });
      this.hung += 1;
      await this.#gate.promise;
    }
    return make();
  }
}
