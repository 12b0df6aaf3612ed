/** Certificates of X.509 and their revocation lists, as DER. */
export { type Party, writeCertificate } from './x509/certificate.ts';
export {
  type RevocationList,
  issuerNameOf,
  readRevocationList,
  writeRevocationList,
} from './x509/revocation-list.ts';
