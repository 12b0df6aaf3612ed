/** S3 as a place of backups. */
export { type S3PlaceOptions, s3Place } from './backup/places/s3-place.ts';
