/** A publish pipeline: an edit reaches the site whole or not at all, whatever fails on the way. */
export {};
