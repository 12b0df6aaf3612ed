/**
 * The service as a whole, on a virtual clock: a day of incidents in seconds, the same for the same seed. For tests of
 * what decides about health, healing, scaling, shedding and degradation.
 */
export {
  type Simulator,
  type SimulatorOptions,
  type TraceDetail,
  type TraceEntry,
  createSimulator,
} from './simulator/simulator.ts';
export {
  type Incident,
  type IncidentEffect,
  type RandomIncidentsOptions,
  randomIncidents,
} from './simulator/incidents.ts';
export type {
  SimulatedDependency,
  SimulatedInstance,
  SimulatedMetrics,
  SimulatedService,
  SimulatedServiceOptions,
  SimulatedStats,
} from './simulator/simulated-service.ts';
export { createSimulatedService } from './simulator/create-simulated-service.ts';
