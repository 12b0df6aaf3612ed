import {
  CLASS_INTERNET,
  type DnsQuestion,
  type DnsRecord,
  type ResourceRecord,
  responseCodes,
  toResource,
  typeNumbers,
} from '@holdfast/protocols/dns';

/** The answer to a question. */
export interface ZoneAnswer {
  readonly code: number;
  readonly answers: readonly ResourceRecord[];
  /** The record of authority, where the answer is that something does not exist and the zone has one. */
  readonly authorities: readonly ResourceRecord[];
}

const TYPE_ANY = 255;
/** Answers a question from the records: RFC 1034, section 4.3.2, for a server without delegations. */
export function lookUp(records: readonly DnsRecord[], question: DnsQuestion): ZoneAnswer {
  const answers: ResourceRecord[] = [];
  const seen = new Set<string>();
  let name = question.name.toLowerCase();
  // A circle of aliases has no answer.
  while (!seen.has(name)) {
    seen.add(name);
    const known = records.filter((record) => record.name.toLowerCase() === name);
    // The target of an alias into another zone is left to the client.
    if (known.length === 0) {
      const code = answers.length === 0 ? responseCodes.nameError : responseCodes.ok;
      return { code, answers, authorities: authoritiesOf(records, name) };
    }
    const fitting = known.filter(
      ({ type }) => question.type === TYPE_ANY || typeNumbers[type] === question.type,
    );
    answers.push(...(question.class === CLASS_INTERNET ? fitting : []).map(toResource));
    const other = known.find((record) => record.type === 'CNAME');
    if (fitting.length > 0 || other === undefined) break;
    answers.push(toResource(other));
    name = other.target.toLowerCase();
  }
  const isEmpty = answers.every(({ type }) => type === typeNumbers.CNAME);
  const authorities = isEmpty ? authoritiesOf(records, name) : [];
  return { code: responseCodes.ok, answers, authorities };
}

/** The record of authority of the closest zone above a name, or of the name itself. */
function authoritiesOf(records: readonly DnsRecord[], name: string): readonly ResourceRecord[] {
  const zones = records.filter(({ type, name: zone }) => type === 'SOA' && isWithin(name, zone));
  const [closest] = zones.toSorted((one, other) => other.name.length - one.name.length);
  return closest === undefined ? [] : [toResource(closest)];
}

function isWithin(name: string, zone: string): boolean {
  return `.${name}`.endsWith(`.${zone.toLowerCase()}`);
}
