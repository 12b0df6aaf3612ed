/** District boundaries: extracted in batches, looked up by latitude and longitude, synced by content. */
export {};
