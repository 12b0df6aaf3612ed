import { open, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { findOnPath } from './clock-library.ts';

/** Offsets in the header of the Executable and Linkable Format (64 bits, little-endian). */
const ELF_64_LITTLE = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const PROGRAM_HEADERS_AT = 32;
const PROGRAM_HEADER_BYTES_AT = 54;
const PROGRAM_HEADER_COUNT_AT = 56;
const HEADER_BYTES = 64;
/** The type of the segment that names the dynamic linker. */
const INTERPRETER = 3;
const SET_USER_OR_GROUP = 0o6000;

/**
 * Returns why a program would not read a preloaded library, or `undefined` when no reason is known, as for a script.
 * @param program a file, or a name on PATH.
 */
export async function reasonAgainstPreload(program: string): Promise<string | undefined> {
  const file = isAbsolute(program) ? program : await findOnPath(program);
  if (file === undefined) return `${program} is not on PATH`;
  try {
    const { mode } = await stat(file);
    if ((mode & SET_USER_OR_GROUP) !== 0 && process.getuid?.() !== 0) {
      return `${file} changes its user, and the system preloads nothing into such a program`;
    }
    return (await isStatic(file))
      ? `${file} is linked statically, and a static program preloads nothing`
      : undefined;
  } catch (error) {
    return `${file} cannot be read: ${String(error)}`;
  }
}

async function isStatic(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0);
    const isKnown = ELF_64_LITTLE.equals(header.subarray(0, ELF_64_LITTLE.length));
    if (bytesRead < HEADER_BYTES || !isKnown) return false;
    const size = header.readUInt16LE(PROGRAM_HEADER_BYTES_AT);
    const count = header.readUInt16LE(PROGRAM_HEADER_COUNT_AT);
    const table = Buffer.alloc(size * count);
    await file.read(table, 0, table.length, Number(header.readBigUInt64LE(PROGRAM_HEADERS_AT)));
    for (let at = 0; at + 4 <= table.length; at += size) {
      if (table.readUInt32LE(at) === INTERPRETER) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}
