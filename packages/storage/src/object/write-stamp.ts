import type { WriteStamp } from '../backend.ts';

/** Names of a mark in an object's metadata: lower case, as S3 makes them anyway. */
const names = { operationId: 'hf-op', generation: 'hf-gen', sha256: 'hf-sha256' } as const;

/** A mark and the caller's own metadata, as a store keeps them. */
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

/** The two taken apart again; without a mark when somebody else wrote the object. */
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

/** Names that the caller's metadata may not use. */
export function isStampName(name: string): boolean {
  return Object.values<string>(names).includes(name);
}
