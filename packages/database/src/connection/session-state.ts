import { statementsOf } from './transaction-control.ts';

/** Statements after which a session is as before, unless one of {@link LEAVING} is in them. */
const PLAIN =
  /^\s*(?:$|(?:select|insert|update|delete|merge|values|table|with|explain|show|begin|start|commit|end|rollback|abort|savepoint|release|create|alter|drop|truncate|comment|grant|revoke|lock|copy|notify|analy[sz]e|vacuum|reindex|refresh|discard)\b)/i;
/** Functions and words that leave something on a session, anywhere in a statement. */
const LEAVING = /set_config|setseed|advisory_|dblink_connect|temp(?:orary)?\b|pg_temp/i;

/**
 * Whether a text may leave something on its session for the next one: a setting, a lock, a temporary table and so on.
 * What a function does in its body is not seen.
 */
export function mayLeaveState(text: string): boolean {
  if (LEAVING.test(text)) return true;
  if (PLAIN.test(text) && !text.includes(';')) return false;
  return !statementsOf(text).every((statement) => PLAIN.test(statement));
}
