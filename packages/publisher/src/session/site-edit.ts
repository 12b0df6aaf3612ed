import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { EditRefusedError } from '../errors.ts';
import type { ModelAnswer, ModelRequest } from '../llm/edit-model.ts';

/** One file of an edit: its new content, or `null` when it is removed. */
interface FileEdit {
  readonly path: string;
  readonly content: string | null;
}

/** What a model wants to change. */
export interface SiteEdit {
  readonly summary: string;
  readonly files: readonly FileEdit[];
}

const MAX_FILES = 2_000;
const MAX_PATH_CHARACTERS = 300;
const MAX_SHOWN_FILES = 200;
const MAX_SHOWN_BYTES = 262_144;
const MAX_SUMMARY_CHARACTERS = 500;
const RESERVED = new Set(['.git', 'node_modules', '.holdfast']);

const SYSTEM = `You edit the sources of a static website. StoredAnswer with JSON alone, of the form
{"summary": "what was changed, in one line", "files": [{"path": "src/pages/index.astro", "content": "the whole file"}]}.
A file whose content is null is removed. Leave out files that stay as they are.`;

/** The question to the model: the instruction, and the sources as far as they have room. */
export async function editRequest(instruction: string, directory: string): Promise<ModelRequest> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !path.split('/').some((part) => RESERVED.has(part)))
    .toSorted();
  let room = MAX_SHOWN_BYTES;
  const shown: string[] = [];
  for (const path of paths.slice(0, MAX_SHOWN_FILES)) {
    const content = await readFile(join(directory, path), 'utf8');
    if (content.length > room || content.includes('\0')) continue;
    room -= content.length;
    shown.push(`--- ${path}\n${content}`);
  }
  return { system: SYSTEM, prompt: `${instruction}\n\nThe sources:\n${shown.join('\n')}` };
}

/** Reads an edit out of an answer. @throws EditRefusedError */
export function parseEdit({
  text,
  stopReason,
}: Pick<ModelAnswer, 'text' | 'stopReason'>): SiteEdit {
  if (stopReason !== 'end_turn') {
    throw new EditRefusedError(`the model stopped because of ${stopReason}`);
  }
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
  const value: unknown = parsed(json);
  const { summary = 'an edit', files } = Object(value);
  if (!Array.isArray(files) || files.length === 0) throw new EditRefusedError('it changes no file');
  if (files.length > MAX_FILES) throw new EditRefusedError(`it changes over ${MAX_FILES} files`);
  const oneLine = String(summary).replaceAll(/\s+/g, ' ').slice(0, MAX_SUMMARY_CHARACTERS);
  return { summary: oneLine, files: files.map((file: unknown) => parseFile(file)) };
}

/** Changes the files. The same edit on the same sources has the same result. @throws EditRefusedError */
export async function applyEdit({ files }: SiteEdit, directory: string): Promise<void> {
  for (const { path } of files) await assertNoLink(directory, path);
  for (const { path, content } of files) {
    const full = join(directory, ...path.split('/'));
    if (content === null) {
      await rm(full, { force: true, recursive: true });
      continue;
    }
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, content);
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new EditRefusedError('the answer is no JSON');
  }
}

function parseFile(file: unknown): FileEdit {
  const { path, content } = Object(file);
  if (typeof path !== 'string' || path === '' || path.length > MAX_PATH_CHARACTERS) {
    throw new EditRefusedError('a file has no path');
  }
  const isInside = posix.normalize(path) === path && !/^\/|^\.\.(?:\/|$)|[\0\\]|\/$/.test(path);
  if (!isInside || path.split('/').some((part) => RESERVED.has(part.toLowerCase()))) {
    throw new EditRefusedError(`${JSON.stringify(path)} is not within the sources`);
  }
  if (content !== null && typeof content !== 'string') {
    throw new EditRefusedError(`${path} has no content`);
  }
  return { path, content };
}

/** A link among the sources may lead anywhere. */
async function assertNoLink(directory: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const at = join(directory, ...parts.slice(0, depth));
    const found = await lstat(at).catch(() => undefined);
    if (found === undefined) return;
    if (found.isSymbolicLink()) throw new EditRefusedError(`${path} leads through a link`);
  }
}
