import type { GenerationManifest } from '../catalog.ts';
import { CatalogStoreError } from './errors.ts';
import type {
  GenerationPlace,
  GenerationReader,
  GenerationStore,
  StagedGeneration,
  StoreCallOptions,
} from './generation-store.ts';

/** @throws CatalogStoreError when the store was closed; the signal's own reason */
type AssertOpen = (call?: StoreCallOptions) => void;

/** How one kind of database keeps its generations. */
interface StoreParts<Current> {
  begin(place: GenerationPlace, call: StoreCallOptions): Promise<StagedGeneration>;
  readCurrent(call: StoreCallOptions): Promise<Current | undefined>;
  createReader(current: Current): GenerationReader;
  close(): Promise<void>;
}

/** A store that takes no calls any more once it was closed. */
export function openStore<Current extends { readonly manifest: GenerationManifest }>(
  name: string,
  partsOf: (assertOpen: AssertOpen) => StoreParts<Current>,
): GenerationStore {
  let isClosed = false;
  const assertOpen: AssertOpen = ({ signal } = {}) => {
    signal?.throwIfAborted();
    if (isClosed) throw new CatalogStoreError(name, 'closed', 'was closed; open another one');
  };
  const parts = partsOf(assertOpen);
  return {
    name,
    async stage(place, call = {}) {
      assertOpen(call);
      return parts.begin(place, call);
    },
    async current(call = {}) {
      assertOpen(call);
      return (await parts.readCurrent(call))?.manifest;
    },
    async open(call = {}) {
      assertOpen(call);
      const current = await parts.readCurrent(call);
      return current && parts.createReader(current);
    },
    async close() {
      isClosed = true;
      await parts.close();
    },
  };
}
