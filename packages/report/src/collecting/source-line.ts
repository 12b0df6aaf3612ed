import { readFileSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { redact } from '../redact.ts';

const LINES_AROUND = 3;
const MAX_LINE_CHARACTERS = 160;
const MAX_SOURCE_BYTES = 2_000_000;

/** The first line of a stack that is in the code under test, and the source around it. */
export interface FailingLine {
  readonly file: string;
  readonly line: number;
  readonly codeFrame?: string;
}

/**
 * Finds the first frame of a stack whose file is below the root and not in `node_modules`. The source may have
 * changed since or be gone; then there is no code frame.
 */
export function findFailingLine(stack: string, rootDirectory: string): FailingLine | undefined {
  for (const [, place = '', line = ''] of stack.matchAll(framePattern)) {
    const path = pathOf(place);
    if (path === undefined) continue;
    const file = relative(rootDirectory, path).split(sep).join('/');
    if (file === '' || file.startsWith('../') || isAbsolute(file)) continue;
    if (file.includes('node_modules/')) continue;
    const codeFrame = renderCodeFrame(join(rootDirectory, file), Number(line));
    return { file, line: Number(line), ...(codeFrame === undefined ? {} : { codeFrame }) };
  }
  return undefined;
}

/** `at name (path:line:column)` or `at path:line:column`. */
const framePattern =
  /^\s*at (?:.{0,300}\()?((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()\n]{1,500}):(\d{1,7}):\d{1,7}\)?$/gm;

function pathOf(place: string): string | undefined {
  try {
    return place.startsWith('file:') ? fileURLToPath(place) : place;
  } catch {
    return undefined;
  }
}

function renderCodeFrame(path: string, failing: number): string | undefined {
  const source = readSource(path);
  if (source === undefined || failing < 1 || failing > source.length) return undefined;
  const first = Math.max(1, failing - LINES_AROUND);
  const lines = source.slice(first - 1, failing + LINES_AROUND);
  const width = String(first + lines.length).length;
  const shown = lines.map((text, index) => {
    const number = first + index;
    const mark = number === failing ? '>' : ' ';
    return `${mark} ${String(number).padStart(width)} | ${text.slice(0, MAX_LINE_CHARACTERS)}`;
  });
  return redact(shown.join('\n'));
}

function readSource(path: string): string[] | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return text.length > MAX_SOURCE_BYTES ? undefined : text.split(/\r?\n/);
  } catch {
    return undefined;
  }
}
