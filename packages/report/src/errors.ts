import { HoldfastError } from '@holdfast/foundation';

/** A scenario could not be written, so the report would lack it. */
export class RecordNotWrittenError extends HoldfastError {
  readonly code = 'REPORT_RECORD_NOT_WRITTEN';
}

/** The files of a run could not be written; its result was still printed. */
export class ReportNotWrittenError extends HoldfastError {
  readonly code = 'REPORT_NOT_WRITTEN';
}

/** A `run.json` is missing or invalid. */
export class RunNotReadableError extends HoldfastError {
  readonly code = 'REPORT_RUN_NOT_READABLE';
}
