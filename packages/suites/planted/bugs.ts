import type { PlantedBug } from './planted-bug.ts';
import { atlasBugs } from './atlas/atlas.ts';
import { cacheBugs } from './cache/memory.ts';
import { cacheRedisBugs } from './cache/redis.ts';
import { cliRunBugs } from './cli/run-and-score.ts';
import { catalogClientBugs } from './catalog/client.ts';
import { catalogBackupBugs } from './catalog/backup.ts';
import { catalogPostgresBugs } from './catalog/postgres.ts';
import { catalogRedisBugs } from './catalog/redis.ts';
import { catalogSearchBugs } from './catalog/search.ts';
import { catalogServingBugs } from './catalog/serving.ts';
import { catalogServiceBugs } from './catalog/service.ts';
import { catalogSyncBugs } from './catalog/sync.ts';
import { cliBugs } from './cli/cli.ts';
import { databaseBugs } from './database.ts';
import { emulatorBugs } from './breaking/emulators.ts';
import { faultsBugs } from './breaking/faults.ts';
import { journalBugs } from './journal.ts';
import { networkNamesBugs } from './network/names.ts';
import { networkRoutesBugs } from './network/routes.ts';
import { networkDialingBugs } from './network/dialing.ts';
import { networkFetchBugs } from './network/fetch.ts';
import { networkLimitsBugs } from './network/limits.ts';
import { operationsServiceBugs } from './operations/service.ts';
import { operationsRecoveryBugs } from './operations/recovery.ts';
import { protocolsBugs } from './breaking/protocols.ts';
import { publisherBugs } from './publisher.ts';
import { queueConsumerBugs } from './queue-consumers.ts';
import { queueControlBugs } from './queue/control.ts';
import { queueOutcomeBugs } from './queue-outcomes.ts';
import { queueBugs } from './queue.ts';
import { queueSharingBugs } from './queue-sharing.ts';
import { reportBugs } from './breaking/report.ts';
import { stageBugs } from './breaking/stage.ts';
import { resilienceBugs } from './resilience.ts';
import { storageBugs } from './storage.ts';
import { operationsReactionBugs } from './operations/reactions.ts';

export const plantedBugs: readonly PlantedBug[] = [
  ...atlasBugs,
  ...cacheBugs,
  ...cacheRedisBugs,
  ...cliBugs,
  ...catalogClientBugs,
  ...catalogBackupBugs,
  ...catalogRedisBugs,
  ...catalogSearchBugs,
  ...catalogServingBugs,
  ...catalogServiceBugs,
  ...catalogSyncBugs,
  ...catalogPostgresBugs,
  ...cliRunBugs,
  ...databaseBugs,
  ...emulatorBugs,
  ...faultsBugs,
  ...journalBugs,
  ...networkNamesBugs,
  ...networkRoutesBugs,
  ...networkDialingBugs,
  ...networkFetchBugs,
  ...networkLimitsBugs,
  ...operationsReactionBugs,
  ...operationsServiceBugs,
  ...operationsRecoveryBugs,
  ...protocolsBugs,
  ...publisherBugs,
  ...queueBugs,
  ...queueConsumerBugs,
  ...queueSharingBugs,
  ...queueControlBugs,
  ...queueOutcomeBugs,
  ...reportBugs,
  ...stageBugs,
  ...resilienceBugs,
  ...storageBugs,
];
