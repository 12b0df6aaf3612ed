/** A bundle as the API of eSIM Go sends it. Its description calls every field optional; these are those it sends. */
export interface ESIMGoDataPlan {
  /** The identity, such as `esim_1GB_7D_AD_V2`; case counts. */
  name: string;
  description: string;
  groups: string[];
  countries: ESIMGoCountry[];
  /** Megabytes, 1 000 to a gigabyte; -1 where unlimited. */
  dataAmount: number;
  /** Days. */
  duration: number;
  speed: string[];
  autostart: boolean;
  unlimited: boolean;
  /** Not sent by the API of today; older descriptions have countries, codes or a boolean. */
  roamingEnabled?: ESIMGoCountry[] | string[] | boolean;
  imageUrl: string;
  /** In the currency of the organization, with two decimals. */
  price: number;
  billingType: string;
  allowances: ESIMGoAllowance[];
}

/** A country of a bundle, as the API writes it. */
export interface ESIMGoCountry {
  name: string;
  /** Such as `Middle East`. */
  region: string;
  /** ISO 3166-1 alpha-2. */
  iso: string;
}

/** What a bundle permits, as the API writes it. */
export interface ESIMGoAllowance {
  type: 'DATA' | 'SMS' | 'VOICE';
  service: 'ROAMING' | 'STANDARD';
  description: string;
  amount: number;
  unit: 'MB' | 'MINS' | 'SMS';
  unlimited: boolean;
}
