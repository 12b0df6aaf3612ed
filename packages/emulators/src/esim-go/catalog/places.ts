/** Where a bundle is valid: a country, or several under a code of the API. */
export interface Place {
  /** ISO 3166-1 alpha-2, or a code for several countries such as `REU`. */
  readonly code: string;
  readonly name: string;
  readonly countries: readonly PlaceCountry[];
}

interface PlaceCountry {
  readonly iso: string;
  readonly name: string;
  readonly region: string;
}

const byRegion: Readonly<Record<string, string>> = {
  Africa:
    "DZ Algeria|AO Angola|BJ Benin|BW Botswana|BF Burkina Faso|BI Burundi|CM Cameroon|CV Cape Verde|CF Central African Republic|TD Chad|KM Comoros|CG Congo|CD Congo, Democratic Republic|CI Côte d'Ivoire|DJ Djibouti|EG Egypt|GQ Equatorial Guinea|SZ Eswatini|ET Ethiopia|GA Gabon|GM Gambia|GH Ghana|GN Guinea|GW Guinea-Bissau|KE Kenya|LS Lesotho|LR Liberia|LY Libya|MG Madagascar|MW Malawi|ML Mali|MR Mauritania|MU Mauritius|YT Mayotte|MA Morocco|MZ Mozambique|NA Namibia|NE Niger|NG Nigeria|RE Réunion|RW Rwanda|ST São Tomé and Príncipe|SN Senegal|SC Seychelles|SL Sierra Leone|ZA South Africa|SD Sudan|TZ Tanzania|TG Togo|TN Tunisia|UG Uganda|ZM Zambia|ZW Zimbabwe",
  Antarctica: 'AQ Antarctica',
  Asia: 'AF Afghanistan|AM Armenia|AZ Azerbaijan|BD Bangladesh|BT Bhutan|BN Brunei|KH Cambodia|CN China|GE Georgia|HK Hong Kong|IN India|ID Indonesia|JP Japan|KZ Kazakhstan|KR Korea, Republic of|KG Kyrgyzstan|LA Laos|MO Macao|MY Malaysia|MV Maldives|MN Mongolia|MM Myanmar|NP Nepal|PK Pakistan|PH Philippines|SG Singapore|LK Sri Lanka|TW Taiwan|TJ Tajikistan|TH Thailand|TL Timor-Leste|UZ Uzbekistan|VN Vietnam',
  Europe:
    'AX Åland Islands|AL Albania|AD Andorra|AT Austria|BY Belarus|BE Belgium|BA Bosnia and Herzegovina|BG Bulgaria|HR Croatia|CY Cyprus|CZ Czech Republic|DK Denmark|EE Estonia|FO Faroe Islands|FI Finland|FR France|DE Germany|GI Gibraltar|GR Greece|GG Guernsey|HU Hungary|IS Iceland|IE Ireland|IM Isle of Man|IT Italy|JE Jersey|XK Kosovo|LV Latvia|LI Liechtenstein|LT Lithuania|LU Luxembourg|MT Malta|MD Moldova|MC Monaco|ME Montenegro|NL Netherlands|MK North Macedonia|NO Norway|PL Poland|PT Portugal|RO Romania|RU Russia|RS Serbia|SK Slovakia|SI Slovenia|ES Spain|SE Sweden|CH Switzerland|TR Türkiye|UA Ukraine|GB United Kingdom',
  LATAM:
    'AI Anguilla|AG Antigua and Barbuda|AR Argentina|AW Aruba|BS Bahamas|BB Barbados|BZ Belize|BO Bolivia|BQ Bonaire|BR Brazil|KY Cayman Islands|CL Chile|CO Colombia|CR Costa Rica|CW Curaçao|DM Dominica|DO Dominican Republic|EC Ecuador|SV El Salvador|GF French Guiana|GD Grenada|GP Guadeloupe|GT Guatemala|GY Guyana|HT Haiti|HN Honduras|JM Jamaica|MQ Martinique|MX Mexico|MS Montserrat|NI Nicaragua|PA Panama|PY Paraguay|PE Peru|KN Saint Kitts and Nevis|LC Saint Lucia|VC Saint Vincent|SR Suriname|TT Trinidad and Tobago|TC Turks and Caicos|UY Uruguay|VE Venezuela|VG Virgin Islands, British',
  'Middle East':
    'BH Bahrain|IR Iran|IQ Iraq|IL Israel|JO Jordan|KW Kuwait|LB Lebanon|OM Oman|PS Palestine|QA Qatar|SA Saudi Arabia|AE United Arab Emirates|YE Yemen',
  'North America':
    'BM Bermuda|CA Canada|GL Greenland|PR Puerto Rico|US United States|VI Virgin Islands, U.S.',
  Oceania:
    'AU Australia|CK Cook Islands|FJ Fiji|PF French Polynesia|GU Guam|NR Nauru|NC New Caledonia|NZ New Zealand|PG Papua New Guinea|WS Samoa|SB Solomon Islands|TO Tonga|VU Vanuatu',
};

/** Codes for several countries: the regions, and how many countries at most, spread over all of them. */
const combined: readonly (readonly [code: string, name: string, regions: string, most?: number])[] =
  [
    ['RAF', 'Africa', 'Africa'],
    ['RAFL', 'Africa Lite', 'Africa', 40],
    ['RAM', 'Americas', 'North America,LATAM'],
    ['RAS', 'Asia', 'Asia'],
    ['RASL', 'Asia Lite', 'Asia', 25],
    ['RASO', 'Asia and Oceania', 'Asia,Oceania'],
    ['RBA', 'Balkans', 'Europe', 12],
    ['RCA', 'Caribbean', 'LATAM', 22],
    ['REA', 'Europe and Asia', 'Europe,Asia'],
    ['REM', 'Europe and Middle East', 'Europe,Middle East'],
    ['REMA', 'Europe, Middle East and Africa', 'Europe,Middle East,Africa'],
    ['RENA', 'Europe and North America', 'Europe,North America'],
    ['REU', 'Europe', 'Europe'],
    ['REUL', 'Europe Lite', 'Europe', 30],
    ['RGB', 'Global', '', 105],
    ['RGBL', 'Global Lite', '', 96],
    ['RGBP', 'Global Plus', '', 107],
    ['RGBS', 'Global Standard', '', 106],
    ['RLA', 'LATAM', 'LATAM'],
    ['RLAS', 'LATAM Standard', 'LATAM', 18],
    ['RME', 'Middle East', 'Middle East'],
    ['RNO', 'Nordics', 'Europe', 8],
    ['RSEA', 'Southeast Asia', 'Asia', 11],
    ['RMEA', 'Middle East and Africa', 'Middle East,Africa'],
    ['RNA', 'North America', 'North America', 3],
    ['ROC', 'Oceania', 'Oceania'],
  ];

const countries: readonly PlaceCountry[] = Object.entries(byRegion).flatMap(([region, list]) =>
  list.split('|').map((entry) => ({ iso: entry.slice(0, 2), name: entry.slice(3), region })),
);

/** All countries, then the codes for several of them: a prime number of places. */
export const places: readonly Place[] = [
  ...countries.map((country) => ({ code: country.iso, name: country.name, countries: [country] })),
  ...combined.map(([code, name, regions, most = Infinity]) => {
    const named = regions.split(',');
    const all = countries.filter(({ region }) => regions === '' || named.includes(region));
    const kept = Math.min(most, all.length);
    const spread = all.filter(
      (_, at) => Math.floor(((at + 1) * kept) / all.length) > Math.floor((at * kept) / all.length),
    );
    return { code, name, countries: spread };
  }),
];
