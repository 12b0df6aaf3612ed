import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Decrypter, Encrypter } from 'age-encryption';
import { chunksOf } from './chunks.ts';
import { BackupKeyError } from './errors.ts';

/*
 * Files of the format age v1, which the program `age` decrypts. The library makes and opens their headers; the payload,
 * all but a few hundred bytes, is sealed by node:crypto, which takes a tenth of the library's processor time.
 *
 *     header | nonce (16) | chunk (64 KiB + tag) | ... | last chunk (marked in its nonce)
 */
const CHUNK = 65_536;
const TAG = 16;
const NONCE = 16;
const KEY = 32;
const COUNTER = 12;
const LAST = COUNTER - 1;
const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: TAG };
/** No header of ours is that long: what has no end of it by then is no file of age. */
const MAX_HEADER = 65_536;
const MAC_LINE = Buffer.from('\n--- ');

/** The chunks' nonces: a counter, and a mark on the last. */
class ChunkNonce {
  readonly #bytes = Buffer.alloc(COUNTER);
  #count = 0;

  next(isLast: boolean): Buffer {
    this.#bytes.writeUIntBE(this.#count, LAST - 6, 6);
    this.#bytes[LAST] = isLast ? 1 : 0;
    this.#count += 1;
    return this.#bytes;
  }
}

function streamKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', KEY));
}

/**
 * Encrypts to the recipients (`age1...`).
 *
 * @throws BackupKeyError for what is no recipient.
 */
export async function* encryptAge(
  recipients: readonly string[],
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const { header, fileKey } = await newHeader(recipients);
  const nonce = randomBytes(NONCE);
  const key = streamKey(fileKey, nonce);
  yield Buffer.concat([header, nonce]);
  const nonces = new ChunkNonce();
  for await (const { chunk, isLast } of chunksOf(source, CHUNK)) {
    const cipher = createCipheriv(CIPHER, key, nonces.next(isLast), OPTIONS);
    const sealed = cipher.update(chunk);
    cipher.final();
    yield Buffer.concat([sealed, cipher.getAuthTag()]);
  }
}

/**
 * Decrypts by one of the identities (`AGE-SECRET-KEY-1...`). What it yields is authentic, but may be followed by an error.
 *
 * @throws BackupKeyError if none opens it.
 * @throws Error for what is changed, cut or no such file.
 */
export async function* decryptAge(
  identities: readonly string[],
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const { header, rest } = await splitHeader(source);
  const fileKey = await openHeader(identities, header);
  let key: Buffer | undefined;
  const nonces = new ChunkNonce();
  const payload = afterNonce(rest, (nonce) => (key = streamKey(fileKey, nonce)));
  let count = 0;
  for await (const { chunk, isLast } of chunksOf(payload, CHUNK + TAG)) {
    if (key === undefined || chunk.length < TAG) throw new Error('it is cut');
    const decipher = createDecipheriv(CIPHER, key, nonces.next(isLast), OPTIONS);
    decipher.setAuthTag(chunk.subarray(chunk.length - TAG));
    const opened = decipher.update(chunk.subarray(0, chunk.length - TAG));
    decipher.final();
    if (opened.length === 0 && count > 0) throw new Error('its last chunk is empty');
    count += 1;
    yield opened;
  }
}

/**
 * Refuses what is no recipient before anything is read.
 *
 * @throws BackupKeyError
 */
export async function checkRecipients(recipients: readonly string[]): Promise<void> {
  await newHeader(recipients);
}

/**
 * Refuses what is no identity before anything is fetched.
 *
 * @throws BackupKeyError
 */
export function checkIdentities(identities: readonly string[]): void {
  decrypterFor(identities);
}

function decrypterFor(identities: readonly string[]): Decrypter {
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch {
    // The library's error may contain the key.
    throw new BackupKeyError('one of the identities is no identity of age');
  }
  if (identities.length === 0) throw new BackupKeyError('there is no identity');
  return decrypter;
}

async function newHeader(
  recipients: readonly string[],
): Promise<{ readonly header: Buffer; readonly fileKey: Uint8Array }> {
  if (recipients.length === 0) throw new BackupKeyError('there is no recipient');
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | undefined;
  let empty: Uint8Array;
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient);
    // It adds nothing to the header: it is how the library hands out the key of the file.
    encrypter.addRecipient({
      wrapFileKey(key) {
        fileKey = Uint8Array.from(key);
        return [];
      },
    });
    empty = await encrypter.encrypt(new Uint8Array(0));
  } catch (error) {
    throw new BackupKeyError('one of the recipients is no recipient of age', error);
  }
  if (fileKey === undefined) throw new BackupKeyError('age made no key');
  return { header: Buffer.from(empty.subarray(0, empty.length - NONCE - TAG)), fileKey };
}

async function openHeader(identities: readonly string[], header: Buffer): Promise<Uint8Array> {
  const decrypter = decrypterFor(identities);
  let isUnmatched = false;
  // Asked last, and only when no identity has matched.
  decrypter.addIdentity({
    unwrapFileKey() {
      isUnmatched = true;
      return null;
    },
  });
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (isUnmatched) throw new BackupKeyError('no identity opens the backup', error);
    throw error;
  }
}

async function splitHeader(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly header: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let bytes = Buffer.alloc(0);
  while (bytes.length < MAX_HEADER) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    bytes = Buffer.concat([bytes, value]);
    const mac = bytes.indexOf(MAC_LINE);
    const end = mac < 0 ? -1 : bytes.indexOf('\n', mac + MAC_LINE.length);
    if (end >= 0) {
      return {
        header: bytes.subarray(0, end + 1),
        rest: joined(bytes.subarray(end + 1), iterator),
      };
    }
  }
  throw new Error('it has no header of age');
}

async function* joined(
  first: Uint8Array,
  others: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => others };
}

async function* afterNonce(
  source: AsyncIterable<Uint8Array>,
  onNonce: (nonce: Buffer) => void,
): AsyncGenerator<Uint8Array> {
  let nonce = Buffer.alloc(0);
  for await (const bytes of source) {
    if (nonce.length === NONCE) {
      yield bytes;
      continue;
    }
    const taken = bytes.subarray(0, NONCE - nonce.length);
    nonce = Buffer.concat([nonce, taken]);
    if (nonce.length === NONCE) onNonce(nonce);
    yield bytes.subarray(taken.length);
  }
}
