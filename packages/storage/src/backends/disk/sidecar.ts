import type { WriteStamp } from '../../backend.ts';

/** The description of an object, in a file beside its body. */
export interface Sidecar {
  readonly key: string;
  readonly bucket: string;
  readonly size: number;
  readonly version: string;
  readonly contentType: string;
  /** Absent in sidecars of earlier versions. */
  readonly cacheControl?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly stamp: WriteStamp;
  /** Absent in sidecars of earlier versions. */
  readonly createdEpochMs?: number;
  readonly lastModifiedEpochMs: number;
  /** The file the bytes are in. */
  readonly body: string;
}

/** Returns `undefined` for bytes that are not a sidecar. */
export function parseSidecar(bytes: Uint8Array): Sidecar | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
  return isSidecar(value) ? value : undefined;
}

function isSidecar(value: unknown): value is Sidecar {
  if (typeof value !== 'object' || value === null) return false;
  const text = (name: string): boolean => typeof Reflect.get(value, name) === 'string';
  return (
    text('key') &&
    text('bucket') &&
    text('version') &&
    text('body') &&
    'size' in value &&
    Number.isSafeInteger(value.size) &&
    'stamp' in value &&
    typeof value.stamp === 'object'
  );
}
