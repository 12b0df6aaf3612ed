import { createCipheriv, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { decryptAge, encryptAge } from '../../src/backup/age.ts';

const CHUNK = 65_536;
const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17];

async function* piecesOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each(SIZES)(
  'the library decrypts what was encrypted, and the other way round: %i bytes',
  async (size) => {
    const identity = await generateIdentity();
    const recipient = await identityToRecipient(identity);
    const plain = randomBytes(size);
    const ours = await gathered(encryptAge([recipient], piecesOf(plain, 10_000)));
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    expect(Buffer.from(await decrypter.decrypt(ours)).equals(plain)).toBe(true);
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    const theirs = await encrypter.encrypt(plain);
    expect((await gathered(decryptAge([identity], piecesOf(theirs, 777)))).equals(plain)).toBe(
      true,
    );
  },
);

test('each bit and each length counts: what is flipped, cut, extended or reordered is refused', async () => {
  const identity = await generateIdentity();
  const recipient = await identityToRecipient(identity);
  const file = await gathered(
    encryptAge([recipient], piecesOf(randomBytes(2 * CHUNK + 99), CHUNK)),
  );
  const refuses = async (changed: Uint8Array): Promise<void> => {
    const refused = gathered(decryptAge([identity], piecesOf(changed, 5_000)));
    await expect(refused).rejects.toHaveProperty('message');
  };
  for (let at = 0; at < file.length; at += at < 400 ? 1 : 7_919) {
    const changed = Buffer.from(file);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    await refuses(changed);
  }
  const header = file.length - (2 * CHUNK + 99) - 3 * 16;
  const sealed = CHUNK + 16;
  await refuses(file.subarray(0, header));
  await refuses(file.subarray(0, header + sealed));
  await refuses(file.subarray(0, header + 2 * sealed));
  await refuses(file.subarray(0, file.length - 1));
  await refuses(Buffer.concat([file, Buffer.alloc(1)]));
  const [first, second] = [header, header + sealed].map((at) => file.subarray(at, at + sealed));
  const [start, rest] = [file.subarray(0, header), file.subarray(header + 2 * sealed)];
  await refuses(Buffer.concat([start, second ?? start, first ?? start, rest]));
});

test('a wrong or malformed key is named without its text', async () => {
  const identity = await generateIdentity();
  const recipient = await identityToRecipient(identity);
  const file = await gathered(encryptAge([recipient], piecesOf(Buffer.from('secret'), 10)));
  const other = await generateIdentity();
  const code = 'BACKUP_KEY';
  await expect(gathered(decryptAge([other], piecesOf(file, 100)))).rejects.toMatchObject({ code });
  const malformed = `${identity.slice(0, -1)}X`;
  const refused = gathered(decryptAge([malformed], piecesOf(file, 100)));
  await expect(refused).rejects.toMatchObject({ code });
  expect(String(await refused.catch((error: unknown) => error))).not.toContain(malformed);
  const open = gathered(encryptAge(['age1nobody'], piecesOf(file, 100)));
  await expect(open).rejects.toMatchObject({ code });
});

const MEASURED_BYTES = 16 * 1024 * 1024;
const MEGABYTE = 1_000_000;
/** The processor time that the work takes for each megabyte. */
async function cpuMsOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / (MEASURED_BYTES / MEGABYTE);
}

/** What the bare cipher takes for the same bytes. */
async function sealBare(plain: Buffer): Promise<void> {
  const key = randomBytes(32);
  for (let from = 0; from < plain.length; from += CHUNK) {
    const cipher = createCipheriv('chacha20-poly1305', key, randomBytes(12), { authTagLength: 16 });
    cipher.update(plain.subarray(from, from + CHUNK));
    cipher.final();
  }
}

test('encrypting takes at most three times the processor time of the bare cipher, and less than half of the library', async () => {
  const recipient = await identityToRecipient(await generateIdentity());
  const plain = randomBytes(MEASURED_BYTES);
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const drain = async (): Promise<void> => {
    for await (const chunk of encryptAge([recipient], piecesOf(plain, CHUNK))) {
      if (chunk.length === 0) throw new Error('an empty chunk');
    }
  };
  await drain();
  const figures = { ours: Infinity, bare: Infinity };
  for (let round = 0; round < 5; round += 1) {
    figures.ours = Math.min(figures.ours, await cpuMsOf(drain));
    figures.bare = Math.min(figures.bare, await cpuMsOf(async () => sealBare(plain)));
  }
  const theirs = await cpuMsOf(async () => encrypter.encrypt(plain));
  const { ours, bare } = figures;
  const written = [ours, bare, theirs].map((ms) => ms.toFixed(2)).join(', ');
  process.stdout.write(`cpu ms/MB: ours, bare, library: ${written}\n`);
  expect(ours).toBeLessThan(3 * bare);
  expect(ours).toBeLessThan(theirs / 2);
});
