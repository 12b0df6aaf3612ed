/** Certificates of X.509 as DER. */
export { type Party, writeCertificate } from './x509/certificate.ts';
