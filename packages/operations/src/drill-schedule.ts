/** Restore drills by a schedule. */
export {
  type DrillSchedule,
  type DrillScheduleOptions,
  type DrillState,
  scheduleDrills,
} from './backup/drill-schedule.ts';
