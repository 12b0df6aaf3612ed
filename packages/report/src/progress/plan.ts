/**
 * The test files of the run that is about to start. Jest tells a reporter only how many they are; a sequencer, which
 * runs in the same process, sees them all.
 */
let files: readonly string[] = [];

/** Tells the reporter of this process which test files the run has, so that it can say how long they take. */
export function planTestFiles(paths: readonly string[]): void {
  files = paths;
}

export function plannedTestFiles(): readonly string[] {
  return files;
}
