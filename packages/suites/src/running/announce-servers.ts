/** Tells the reporter which servers stand while a test file runs. */
import { announceServers } from '@holdfast/report';
import { afterAll } from '@jest/globals';

const stop = announceServers();
afterAll(stop);
