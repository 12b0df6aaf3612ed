import { propertyOf } from '@holdfast/foundation';

/** What a user of the command needs of a warning of the process; `undefined` for nothing. */
export function warningText(warning: Error): string | undefined {
  if (warning.name === 'ExperimentalWarning') return undefined;
  // What follows is for hooks of test runners.
  if (propertyOf(warning, 'code') === 'STAGE_FIRST_RUN') return warning.message.split('. ')[0];
  return warning.message;
}
