import type { AttributeBuffers, IndexBuffers, PostingsOfKeys } from '../format/index-buffers.ts';
import type { ListBuffers } from '../format/index-buffers.ts';
import { Postings } from '../format/postings.ts';
import { Runs, SortedColumn } from '../format/sorted-column.ts';
import { StringTable } from '../format/string-table.ts';

export interface KeyColumn {
  readonly keys: StringTable;
  readonly postings: Postings;
}

export interface AttributeColumn extends KeyColumn {
  readonly labels: StringTable;
  readonly lists: ListBuffers;
}

/** The parts of an index, ready to be read. */
export interface Columns extends Pick<
  IndexBuffers,
  'documents' | 'nameOrder' | 'nameRanks' | 'rows' | 'givenAmounts'
> {
  readonly names: StringTable;
  readonly price: Runs;
  readonly dataAmount: SortedColumn;
  readonly duration: SortedColumn;
  readonly country: AttributeColumn;
  readonly region: AttributeColumn;
  readonly group: AttributeColumn;
  readonly roaming: KeyColumn;
  readonly words: KeyColumn;
}

export function openColumns(buffers: IndexBuffers): Columns {
  const { rows, documents, nameOrder, nameRanks, givenAmounts } = buffers;
  return {
    rows,
    documents,
    nameOrder,
    nameRanks,
    givenAmounts,
    names: new StringTable(buffers.names),
    price: new Runs(buffers.price),
    dataAmount: new SortedColumn(buffers.dataAmount),
    duration: new SortedColumn(buffers.duration),
    country: openAttribute(buffers.country, rows),
    region: openAttribute(buffers.region, rows),
    group: openAttribute(buffers.group, rows),
    roaming: openKeys(buffers.roaming, rows),
    words: openKeys(buffers.words, rows),
  };
}

function openKeys({ keys, postings }: PostingsOfKeys, rows: number): KeyColumn {
  return { keys: new StringTable(keys), postings: new Postings(postings, rows) };
}

function openAttribute(attribute: AttributeBuffers, rows: number): AttributeColumn {
  const { labels, lists } = attribute;
  return { ...openKeys(attribute, rows), labels: new StringTable(labels), lists };
}
