import type { WriteStamp } from '../backend.ts';

/** The names of a write stamp's fields in an object's metadata; lower case, because S3 lowers them anyway. */
const names = { operationId: 'hf-op', generation: 'hf-gen', sha256: 'hf-sha256' } as const;

/** The metadata that a store keeps: the write stamp's and the caller's. */
export function stampedMetadata(
  stamp: WriteStamp,
  metadata: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...metadata,
    [names.operationId]: stamp.operationId,
    [names.generation]: String(stamp.generation),
    [names.sha256]: stamp.sha256,
  };
}

/** Separates the two again; there is no stamp when another writer wrote the object. */
export function parseMetadata(kept: unknown): {
  metadata: Record<string, string>;
  stamp?: WriteStamp;
} {
  const metadata: Record<string, string> = {};
  if (typeof kept === 'object' && kept !== null) {
    for (const [name, value] of Object.entries(kept)) {
      if (typeof value === 'string') metadata[name.toLowerCase()] = value;
    }
  }
  const operationId = metadata[names.operationId];
  const generation = Number(metadata[names.generation]);
  const sha256 = metadata[names.sha256];
  for (const name of Object.values(names)) delete metadata[name];
  if (operationId === undefined || sha256 === undefined || !Number.isSafeInteger(generation)) {
    return { metadata };
  }
  return { metadata, stamp: { operationId, generation, sha256 } };
}

/** Whether the name is one that the caller's metadata may not use. */
export function isStampName(name: string): boolean {
  return Object.values<string>(names).includes(name);
}
