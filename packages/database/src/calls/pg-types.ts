/**
 * The types of `pg` in the public interface, written out: those of `@types/pg` need a newer TypeScript than these, and
 * are needed only by users of `@holdfast/database/pg`.
 */

/** A row by the names of its columns; as in `pg`, an interface of the caller may describe it. */
export interface QueryResultRow {
  [column: string]: any;
}

/** A column of a result. */
export interface FieldDef {
  name: string;
  tableID: number;
  columnID: number;
  dataTypeID: number;
  dataTypeSize: number;
  dataTypeModifier: number;
  format: string;
}

/** Which parser reads the values of a type, by its OID, from text or bytes; `pg.types` is one. */
export interface CustomTypesConfig {
  getTypeParser(oid: number, format?: 'text' | 'binary'): any;
}
