/** The head of a request or response: its first line and its fields, as they were sent. */
export interface HttpHead {
  /** Every byte of it, the empty line included. */
  readonly bytes: Buffer;
  readonly firstLine: string;
  /** In the order they were sent; names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** How the end of a body is known (RFC 9112, section 6.3). */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'untilClose' };

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/1\.[01]$/;
const REQUEST_START = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*(?: |$)/;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: |$)/;
const none: BodyFraming = { kind: 'none' };
const untilClose: BodyFraming = { kind: 'untilClose' };

/** Returns where the head ends that these bytes begin with, or undefined when it is not there yet. */
export function headEnd(bytes: Buffer): number | undefined {
  // Empty lines before a request are permitted.
  let from = 0;
  while (bytes[from] === 13 || bytes[from] === 10) from += 1;
  const crlf = bytes.indexOf('\r\n\r\n', from, 'latin1');
  const lf = bytes.indexOf('\n\n', from, 'latin1');
  if (lf !== -1 && (crlf === -1 || lf < crlf)) return lf + 2;
  return crlf === -1 ? undefined : crlf + 4;
}

/** Returns whether these bytes begin with a head of HTTP/1, as far as they tell. */
export function mayBeHead(bytes: Buffer, of: 'request' | 'response'): boolean {
  const text = bytes.toString('latin1').trimStart();
  const lineEnd = text.indexOf('\n');
  if (lineEnd === -1) {
    return of === 'request' ? REQUEST_START.test(text) : 'HTTP/1.'.startsWith(text.slice(0, 7));
  }
  const line = text.slice(0, lineEnd).trimEnd();
  return (of === 'request' ? REQUEST_LINE : STATUS_LINE).test(line);
}

export function parseHead(bytes: Buffer): HttpHead {
  const [firstLine = '', ...lines] = bytes.toString('latin1').trim().split(/\r?\n/);
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return { bytes, firstLine, fields };
}

/** Returns the values of a field, those of a list split. */
export function valuesOf({ fields }: HttpHead, name: string): readonly string[] {
  return fields
    .filter(([given]) => given === name)
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((value) => value.trim());
}

/** Returns the method, the target and the minor version of a request. */
export function requestLineOf({ firstLine }: HttpHead): {
  method: string;
  target: string;
  isOld: boolean;
} {
  const [method = '', target = '', version] = firstLine.split(' ');
  return { method, target, isOld: version === 'HTTP/1.0' };
}

export function statusOf({ firstLine }: HttpHead): number {
  return Number(STATUS_LINE.exec(firstLine)?.[1]);
}

export function requestFraming(head: HttpHead): BodyFraming {
  const codings = valuesOf(head, 'transfer-encoding');
  // A server cannot know the end of a request in another coding, and closes.
  if (codings.length > 0) return codings.at(-1) === 'chunked' ? { kind: 'chunked' } : untilClose;
  return lengthOf(head) ?? none;
}

/** @param method that of the request. */
export function responseFraming(head: HttpHead, method: string): BodyFraming {
  const status = statusOf(head);
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return none;
  const codings = valuesOf(head, 'transfer-encoding');
  if (codings.length > 0) return codings.at(-1) === 'chunked' ? { kind: 'chunked' } : untilClose;
  return lengthOf(head) ?? untilClose;
}

function lengthOf(head: HttpHead): BodyFraming | undefined {
  const [value] = valuesOf(head, 'content-length');
  if (value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  const length = Number(value);
  return length === 0 ? none : { kind: 'length', length };
}

/** Returns a head with these fields in place of those of the same name, or removed where the value is undefined. */
export function changedHead(
  { bytes }: HttpHead,
  changes: Readonly<Record<string, string | undefined>>,
): Buffer {
  const [firstLine = '', ...lines] = bytes.toString('latin1').trim().split(/\r?\n/);
  const kept = lines.filter(
    (line) => !Object.hasOwn(changes, line.slice(0, line.indexOf(':')).trim().toLowerCase()),
  );
  const added = Object.entries(changes).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return Buffer.from([firstLine, ...kept, ...added, '', ''].join('\r\n'), 'latin1');
}
