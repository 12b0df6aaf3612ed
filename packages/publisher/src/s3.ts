/** A bucket of S3 as the store of a site. Needs the optional peer `@aws-sdk/client-s3`. */
export { type S3SiteStoreOptions, createS3SiteStore } from './publish/s3/s3-store.ts';
