import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
// Not by its names: an older Node, which lacks one of them, is refused by a typed error.
import * as zlib from 'node:zlib';
import {
  type Clock,
  type OptionRule,
  boolean,
  InvalidOptionError,
  integer,
  oneOf,
  optional,
  parseOptions,
  sleep,
} from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';

/** The encoding of a body. */
export type UpstreamEncoding = 'gzip' | 'deflate' | 'br' | 'zstd';

/** A fault of an encoded body, under a framing that is whole. */
export type UpstreamBodyFault = 'truncated' | 'trailing-bytes' | 'empty';

/** How a response is sent, where it is not sent as it should be. */
export interface UpstreamWire {
  /** Applied in this order, and named in `content-encoding`. Default: none. */
  encodings?: readonly UpstreamEncoding[];
  /** The body is so many zeros before it is encoded, up to 1 GiB: a bomb. */
  inflatedBytes?: number;
  bodyFault?: UpstreamBodyFault;
  /** What tells the end of the body: its length, the last chunk or the end of the connection. Default `length`. */
  framing?: 'length' | 'chunked' | 'close';
  /** The pause between single bytes of the body. Default: all at once. */
  dripBodyMs?: number;
  /** The pause between single bytes of the head. Default: all at once. */
  dripHeadMs?: number;
  /** A request on a kept connection is not answered: the connection is closed as it arrives. Default false. */
  closesReused?: boolean;
}

export type ResolvedWire = Required<
  Pick<UpstreamWire, 'encodings' | 'framing' | 'closesReused'>
> & {
  readonly inflatedBytes: number | undefined;
  readonly bodyFault: UpstreamBodyFault | undefined;
  readonly dripBodyMs: number | undefined;
  readonly dripHeadMs: number | undefined;
};

const LONGEST_DRIP_MS = 60_000;
const drip = optional(integer({ min: 1, max: LONGEST_DRIP_MS }));

const encoders = {
  gzip: (bytes: Uint8Array) => zlib.gzipSync(bytes),
  deflate: (bytes: Uint8Array) => zlib.deflateSync(bytes),
  br: (bytes: Uint8Array) => zlib.brotliCompressSync(bytes),
  zstd: (bytes: Uint8Array) => zlib.zstdCompressSync(bytes),
};

const encodingRule: OptionRule<UpstreamEncoding> = oneOf(['gzip', 'deflate', 'br', 'zstd']);
const shape = {
  encodings: listOf(encodingRule, 10),
  inflatedBytes: optional(integer({ min: 1, max: 1_073_741_824 })),
  bodyFault: optional(oneOf<UpstreamBodyFault>(['truncated', 'trailing-bytes', 'empty'])),
  framing: oneOf(['length', 'chunked', 'close'], 'length'),
  dripBodyMs: drip,
  dripHeadMs: drip,
  closesReused: boolean(false),
};

export const wireRule: OptionRule<ResolvedWire | undefined> = optional({
  permitted: 'an object',
  parse(value: unknown, field: string, owner: string): ResolvedWire {
    const wire = parseOptions(owner, shape, value, field);
    if (wire.bodyFault !== undefined && wire.encodings.length === 0) {
      const permitted = 'left out without encodings, which alone can tell of it';
      throw new InvalidOptionError(owner, `${field}.bodyFault`, wire.bodyFault, permitted);
    }
    return wire;
  },
});

/** Sends the response byte by byte, faulty or without an end, as it is told. Rejects when the client disconnects. */
export async function sendOnWire(
  outgoing: ServerResponse,
  head: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  body: string,
  wire: ResolvedWire,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const bytes = encode(body, wire);
  const headers: Record<string, string> = { ...head.headers };
  if (wire.encodings.length > 0) headers['content-encoding'] = wire.encodings.join(', ');
  if (wire.framing === 'length') headers['content-length'] = String(bytes.length);
  if (wire.framing === 'close') headers['connection'] = 'close';
  if (wire.dripHeadMs !== undefined) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `HTTP/1.1 ${head.status} OK\r\n${lines.join('')}\r\n`;
    await dripTo((byte) => outgoing.socket?.write(byte), Buffer.from(text), wire.dripHeadMs);
    outgoing.socket?.end(bytes);
    return;
  }
  if (wire.framing === 'close') {
    // Neither a length nor chunks, which HTTP/1.1 of Node would add.
    outgoing.shouldKeepAlive = false;
    outgoing.useChunkedEncodingByDefault = false;
    outgoing.removeHeader('transfer-encoding');
  }
  outgoing.writeHead(head.status, headers);
  if (wire.dripBodyMs === undefined) {
    if (!outgoing.write(bytes)) await once(outgoing, 'drain', { signal });
  } else await dripTo((byte) => outgoing.write(byte), bytes, wire.dripBodyMs);
  outgoing.end();

  async function dripTo(
    write: (byte: Uint8Array) => unknown,
    all: Buffer,
    pauseMs: number,
  ): Promise<void> {
    for (let at = 0; at < all.length; at += 1) {
      write(all.subarray(at, at + 1));
      await sleep(clock, pauseMs, signal);
    }
  }
}

function encode(body: string, wire: ResolvedWire): Buffer {
  const { inflatedBytes, encodings, bodyFault } = wire;
  let bytes = inflatedBytes === undefined ? Buffer.from(body) : Buffer.alloc(inflatedBytes);
  for (const name of encodings) bytes = Buffer.from(encoders[name](bytes));
  if (bodyFault === 'truncated') return bytes.subarray(0, bytes.length >> 1);
  if (bodyFault === 'empty') return Buffer.alloc(0);
  return bodyFault === 'trailing-bytes' ? Buffer.concat([bytes, Buffer.from('junk')]) : bytes;
}
