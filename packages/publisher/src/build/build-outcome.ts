import type { BrokenLink } from './links.ts';
import type { VerifiedBuild } from './verified-build.ts';

/** Why a build is not published. */
export type BuildFailure =
  | { readonly kind: 'exit'; readonly code: number | undefined; readonly lastLines: string }
  | { readonly kind: 'timeout'; readonly timeoutMs: number }
  | { readonly kind: 'memory'; readonly lastLines: string }
  | { readonly kind: 'not-started'; readonly reason: string }
  | { readonly kind: 'incomplete'; readonly reason: string; readonly paths: readonly string[] }
  | { readonly kind: 'broken-links'; readonly links: readonly BrokenLink[] };

/** A verified build, or why there is none. */
export type BuildOutcome =
  | { readonly kind: 'built'; readonly build: VerifiedBuild; readonly durationMs: number }
  | { readonly kind: 'failed'; readonly failure: BuildFailure; readonly durationMs: number };

/** A sentence for people. */
export function describeBuildFailure(failure: BuildFailure): string {
  switch (failure.kind) {
    case 'exit': {
      return `the build ended with ${failure.code ?? 'a signal'}: ${failure.lastLines}`;
    }
    case 'timeout': {
      return `the build was stopped after ${failure.timeoutMs} ms`;
    }
    case 'memory': {
      return `the build ran out of memory: ${failure.lastLines}`;
    }
    case 'not-started': {
      return `the build could not start: ${failure.reason}`;
    }
    case 'incomplete': {
      return `the build is incomplete: ${failure.reason} (${failure.paths.slice(0, 5).join(', ')})`;
    }
    case 'broken-links':
    default: {
      const links = failure.links.map(({ page, target }) => `${page} -> ${target}`);
      return `the build links to what is not there: ${links.slice(0, 5).join(', ')}`;
    }
  }
}
