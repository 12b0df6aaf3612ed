import { InvalidOptionError } from '@holdfast/foundation';
import type { Bundle, Country } from '../../catalog.ts';
import { IndexBuildError } from '../errors.ts';
import {
  type AttributeBuffers,
  INDEX_FORMAT,
  type IndexBuffers,
  type PostingsOfKeys,
} from '../format/index-buffers.ts';
import { NumberReader } from '../format/number-reader.ts';
import { sharedUint32 } from '../format/numbers.ts';
import { encodeText } from '../format/text-bytes.ts';
import { withoutCase, wordsOf } from '../words.ts';
import { checkBundle } from './check-bundle.ts';
import { codesOf, distinctValues, sortRuns, sortedColumn } from './columns.ts';
import { Dictionary, type FinishedKeys } from './dictionary.ts';
import { GrowableBytes, GrowableFloat64, GrowableUint32 } from './growable.ts';
import { Lists } from './lists.ts';
import { writePostings } from './postings-writer.ts';
import { StringList } from './strings.ts';

/** What `finish` takes for a bundle beside what it returns: orders and counters. */
const FINISH_BYTES = 48;
/** After so many bundles, and each batch, what is taken is compared with its bound. */
const CHECKED_EVERY = 256;
/** The words of so many names of countries are kept, because most bundles share these. */
const MAX_KEPT_NAMES = 4_096;
const MAX_KEPT_LENGTH = 200;

/** A finished index. */
export interface BuiltIndex {
  /** For `openIndex`, in this thread or another. */
  readonly buffers: IndexBuffers;
  readonly rows: number;
  /** Bundles that were left out, because one with the same name came after them. */
  readonly duplicates: number;
}

/** Takes bundles in batches; the documents are numbered in the order in which they come, from 0. */
export class IndexBuilder {
  readonly #maxBytes: number;
  readonly #names = new StringList();
  readonly #price = new GrowableFloat64();
  readonly #dataAmount = new GrowableFloat64();
  readonly #duration = new GrowableFloat64();
  /** 1 where a bundle is unlimited. */
  readonly #unlimited = new GrowableBytes();
  readonly #countries = new Dictionary();
  readonly #regions = new Dictionary();
  /** By number of the region, as the API spells it. */
  readonly #regionLabels = new StringList();
  readonly #groups = new Dictionary();
  readonly #words = new Dictionary();
  readonly #countryLists = new Lists();
  readonly #regionLists = new Lists();
  readonly #groupLists = new Lists();
  readonly #roamingLists = new Lists();
  /** The words of the names of countries, which many bundles share. */
  readonly #countryWordLists = new Lists();
  readonly #countryWords = new Map<string, readonly number[]>();
  /** The words of name and description, most in a byte or two: where those of each bundle begin, the last is the end. */
  readonly #ownWordStarts = new GrowableUint32();
  readonly #ownWords = new GrowableBytes();

  /**
   * @param options.maxBytes a bound on what the builder takes, in bytes, beside the index itself.
   * @throws InvalidOptionError
   */
  constructor({ maxBytes }: { readonly maxBytes: number }) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
      throw new InvalidOptionError('IndexBuilder', 'maxBytes', maxBytes, 'a whole number from 1');
    }
    this.#maxBytes = maxBytes;
    this.#ownWordStarts.push(0);
  }

  /** What the builder takes, roughly, in bytes. */
  get bytes(): number {
    const parts = [
      this.#names,
      this.#price,
      this.#dataAmount,
      this.#duration,
      this.#unlimited,
      this.#countries,
      this.#regions,
      this.#regionLabels,
      this.#groups,
      this.#words,
      this.#countryLists,
      this.#regionLists,
      this.#groupLists,
      this.#roamingLists,
      this.#countryWordLists,
      this.#ownWordStarts,
      this.#ownWords,
    ];
    return parts.reduce((sum, { bytes }) => sum + bytes, this.#names.length * FINISH_BYTES);
  }

  /**
   * Adds a batch. After an error the builder is of no use.
   * @throws IndexBuildError a bundle is invalid, or the builder would be too large.
   */
  add(bundles: Iterable<unknown>): void {
    for (const bundle of bundles) {
      checkBundle(bundle, this.#names.length);
      this.#addBundle(bundle);
      if (this.#names.length % CHECKED_EVERY === 0) this.#checkBytes();
    }
    this.#checkBytes();
  }

  #checkBytes(): void {
    if (this.bytes <= this.#maxBytes) return;
    throw new IndexBuildError(
      'too-large',
      `${this.#names.length} bundles take ${this.bytes} bytes to index, over ${this.#maxBytes}`,
    );
  }

  #addBundle(bundle: Bundle): void {
    this.#names.push(encodeText(bundle.name));
    // The sum makes 0 of -0.
    this.#price.push(bundle.price + 0);
    this.#dataAmount.push(bundle.dataAmount + 0);
    this.#duration.push(bundle.duration + 0);
    this.#unlimited.push(bundle.unlimited ? 1 : 0);
    this.#countryLists.push(this.#codesOf(bundle.countries));
    this.#roamingLists.push(this.#codesOf(bundle.roamingEnabled ?? []));
    this.#regionLists.push(distinct(bundle.countries.map(({ region }) => this.#regionOf(region))));
    this.#groupLists.push(
      distinct((bundle.groups ?? []).map((group) => this.#groups.numberOf(group))),
    );
    const ofCountries = bundle.countries.flatMap(({ name }) => this.#wordsOfCountry(name));
    this.#countryWordLists.push(distinct(ofCountries).toSorted((left, right) => left - right));
    const own = [...this.#wordsIn(bundle.name), ...this.#wordsIn(bundle.description ?? '')];
    for (const word of distinct(own)) this.#ownWords.pushNumber(word);
    this.#ownWordStarts.push(this.#ownWords.length);
  }

  #codesOf(countries: readonly Country[]): number[] {
    return distinct(countries.map(({ iso }) => this.#countries.numberOf(withoutCase(iso))));
  }

  #regionOf(region: string): number {
    const number = this.#regions.numberOf(withoutCase(region));
    if (number === this.#regionLabels.length) this.#regionLabels.push(encodeText(region));
    return number;
  }

  #wordsOfCountry(name: string): readonly number[] {
    const known = this.#countryWords.get(name);
    if (known !== undefined) return known;
    const words = this.#wordsIn(name);
    if (this.#countryWords.size < MAX_KEPT_NAMES && name.length <= MAX_KEPT_LENGTH) {
      this.#countryWords.set(name, words);
    }
    return words;
  }

  #wordsIn(text: string): number[] {
    return wordsOf(text).map((word) => this.#words.numberOf(word));
  }

  /** Sorts, numbers and writes what was added. The builder is of no use afterwards. */
  finish(): BuiltIndex {
    const added = this.#names.length;
    const named = this.#latestOfEachName();
    const rows = named.length;
    const names = this.#names.toTable(named);
    this.#names.free();
    const nameRanks = sharedUint32(rows);
    const price = sortRuns(picked(this.#price.array, named), nameRanks);
    this.#price.free();
    const nameOrder = sharedUint32(rows);
    const bundles = sharedUint32(rows);
    for (let row = 0; row < rows; row += 1) {
      const rank = nameRanks[row] ?? 0;
      nameOrder[rank] = row;
      bundles[row] = named[rank] ?? 0;
    }
    const buffers: IndexBuffers = {
      format: INDEX_FORMAT,
      rows,
      documents: bundles,
      names,
      nameRanks,
      nameOrder,
      price,
      ...this.#columns(named, nameOrder, bundles),
      words: this.#wordPostings(bundles),
      ...this.#attributes(bundles),
    };
    return { buffers, rows, duplicates: added - rows };
  }

  #columns(
    named: Uint32Array,
    nameOrder: Uint32Array,
    bundles: Uint32Array,
  ): Pick<IndexBuffers, 'dataAmount' | 'duration' | 'givenAmounts'> {
    const isUnlimited = this.#unlimited.array;
    const given = picked(this.#dataAmount.array, bundles);
    const values = distinctValues(given);
    const givenAmounts = { values, codes: codesOf(given, values) };
    const amounts = picked(this.#dataAmount.array, named, given);
    for (let rank = 0; rank < amounts.length; rank += 1) {
      if (isUnlimited[named[rank] ?? 0] === 1) amounts[rank] = Number.POSITIVE_INFINITY;
    }
    const dataAmount = sortedColumn(amounts, nameOrder);
    const duration = sortedColumn(picked(this.#duration.array, named, given), nameOrder);
    for (const part of [this.#unlimited, this.#dataAmount, this.#duration]) part.free();
    return { dataAmount, duration, givenAmounts };
  }

  /** The bundles in the order of their names; of those with one name the last that came. */
  #latestOfEachName(): Uint32Array {
    const order = this.#names.sorted();
    let count = 0;
    for (let at = 0; at < order.length; at += 1) {
      const bundle = order[at] ?? 0;
      const next = order[at + 1];
      if (next !== undefined && this.#names.compare(bundle, next) === 0) continue;
      order[count] = bundle;
      count += 1;
    }
    return order.subarray(0, count);
  }

  #attributes(
    bundles: Uint32Array,
  ): Pick<IndexBuffers, 'country' | 'group' | 'region' | 'roaming'> {
    const country = this.#countries.finish();
    const region = this.#regions.finish();
    const group = this.#groups.finish();
    const attributes = {
      country: attribute(country, country.keys, this.#countryLists, bundles),
      region: attribute(
        region,
        this.#regionLabels.toTable(region.order),
        this.#regionLists,
        bundles,
      ),
      group: attribute(group, group.keys, this.#groupLists, bundles),
      roaming: {
        keys: country.keys,
        postings: postingsOf(country, this.#roamingLists, bundles),
      },
    };
    const lists = [this.#countryLists, this.#regionLists, this.#groupLists, this.#roamingLists];
    for (const part of [this.#regionLabels, ...lists]) part.free();
    return attributes;
  }

  #wordPostings(bundles: Uint32Array): PostingsOfKeys {
    const { keys, ranks } = this.#words.finish();
    const starts = this.#ownWordStarts.array;
    const own = new NumberReader(this.#ownWords.array);
    const postings = writePostings(bundles.length, ranks.length, (row, visit) => {
      const bundle = bundles[row] ?? 0;
      const end = starts[bundle + 1] ?? 0;
      for (own.at = starts[bundle] ?? 0; own.at < end;) visit(ranks[own.read()] ?? 0);
      this.#countryWordLists.visit(bundle, (word) => visit(ranks[word] ?? 0));
    });
    this.#ownWordStarts.free();
    this.#ownWords.free();
    this.#countryWordLists.free();
    return { keys, postings };
  }
}

function attribute(
  keys: FinishedKeys,
  labels: AttributeBuffers['labels'],
  lists: Lists,
  bundles: Uint32Array,
): AttributeBuffers {
  return {
    keys: keys.keys,
    labels,
    postings: postingsOf(keys, lists, bundles),
    lists: lists.finish(bundles, keys.ranks),
  };
}

function postingsOf({ ranks }: FinishedKeys, lists: Lists, bundles: Uint32Array) {
  return writePostings(bundles.length, ranks.length, (row, visit) =>
    lists.visit(bundles[row] ?? 0, (number) => visit(ranks[number] ?? 0)),
  );
}

function distinct(numbers: readonly number[]): number[] {
  return numbers.length < 2 ? [...numbers] : [...new Set(numbers)];
}

/** @param chosen takes them, where there is one of that length already. */
function picked(
  values: Float64Array,
  places: Uint32Array,
  chosen: Float64Array = new Float64Array(places.length),
): Float64Array {
  for (let at = 0; at < chosen.length; at += 1) chosen[at] = values[places[at] ?? 0] ?? 0;
  return chosen;
}
