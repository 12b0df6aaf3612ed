import { HoldfastError } from '@holdfast/foundation';

/** A scenario could not be written down, so the report would miss it. */
export class RecordNotWrittenError extends HoldfastError {
  readonly code = 'REPORT_RECORD_NOT_WRITTEN';
}

/** A run's files could not be written; its result was still printed. */
export class ReportNotWrittenError extends HoldfastError {
  readonly code = 'REPORT_NOT_WRITTEN';
}

/** A `run.json` is missing or is not one. */
export class RunNotReadableError extends HoldfastError {
  readonly code = 'REPORT_RUN_NOT_READABLE';
}
