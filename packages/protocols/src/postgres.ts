/** The protocol of Postgres (version 3.0) as bytes: the messages of both sides. */
export {
  type Column,
  type ErrorFields,
  type TransactionStatus,
  authenticationOk,
  backendKeyData,
  bindComplete,
  cleartextPasswordWanted,
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
} from './postgres/backend-messages.ts';
export {
  type BoundValue,
  FrontendDecoder,
  type FrontendMessage,
  MalformedMessage,
} from './postgres/frontend-messages.ts';
export { parse, simpleQuery, stringsOf } from './postgres/frontend-writer.ts';
export { type PostgresMessage, createMessageReader } from './postgres/message-reader.ts';
