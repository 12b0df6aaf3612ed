/** The Postgres protocol (version 3.0) as bytes: the messages of client and server. */
export {
  type Column,
  type ErrorFields,
  type TransactionIndicator,
  authenticationOk,
  backendKeyData,
  bindComplete,
  cleartextPasswordRequest,
  closeComplete,
  commandComplete,
  dataRow,
  emptyQuery,
  errorResponse,
  noData,
  noEncryption,
  parameterStatus,
  parseComplete,
  readyForQuery,
  rowDescription,
} from './postgres/backend-writer.ts';
export {
  type BoundValue,
  FrontendDecoder,
  type FrontendMessage,
} from './postgres/frontend-reader.ts';
export {
  parse,
  runOnce,
  simpleQuery,
  startup,
  sync,
  terminate,
} from './postgres/frontend-writer.ts';
export { parseDataRow, parseErrorResponse } from './postgres/backend-reader.ts';
export {
  CANCEL_REQUEST,
  GSS_ENCRYPTION_REQUEST,
  HEAD_BYTES,
  SSL_REQUEST,
} from './postgres/message.ts';
export { type PostgresMessage, MessageReader, stringsOf } from './postgres/message-reader.ts';
