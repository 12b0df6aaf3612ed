/** The command `holdfast` as a function. It starts servers of its own, and touches none that it has not started. */
export { runHoldfast } from './program.ts';
export { EXIT } from './exit-codes.ts';
export { CommandUsageError } from './errors.ts';
export { CliInterruption, type OutputStream, type ProcessContext } from './context.ts';
