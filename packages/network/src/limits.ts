/**
 * The limits of the machine: descriptors, memory, disk and time are reserved before they are used, so that a process at
 * its limit waits or refuses in words, and neither crashes nor lies.
 */
export {
  type ResourceBudget,
  type BudgetAmounts,
  type BudgetEvents,
  type BudgetLevel,
  type BudgetOptions,
  type BudgetRefusal,
  type BudgetResource,
  type BudgetStats,
  type ResourceReservation,
  type ReserveOptions,
} from './limits/budget/budget.ts';
export { createBudget } from './limits/budget/create-budget.ts';
export {
  type DescriptorOptions,
  type DescriptorLease,
  type DescriptorPool,
  type DescriptorPoolEvents,
  type DescriptorPoolOptions,
  type DescriptorPoolStats,
  type DescriptorSource,
  type OpenFileOptions,
} from './limits/descriptors/descriptor-pool.ts';
export { createDescriptorPool } from './limits/descriptors/create-descriptor-pool.ts';
export {
  type DiskGuard,
  type DiskGuardEvents,
  type DiskGuardOptions,
  type DiskGuardStats,
  type DiskReading,
  createDiskGuard,
} from './limits/disk/disk-guard.ts';
export {
  BudgetExhaustedError,
  DescriptorsExhaustedError,
  DiskExhaustedError,
  MemoryExhaustedError,
  OverloadedError,
} from './limits/errors.ts';
export {
  type GuardedListener,
  type GuardedListenerEvents,
  type GuardedListenerOptions,
  type GuardedListenerStats,
  listenWithinBudget,
} from './limits/descriptors/guarded-listener.ts';
export {
  type LoopDelayOptions,
  type LoopDelayProbe,
  type LoopDelayReading,
  createLoopDelayProbe,
} from './limits/overload/loop-delay.ts';
export {
  type MemoryGuard,
  type MemoryGuardEvents,
  type MemoryGuardOptions,
  type MemoryGuardStats,
  type MemoryReading,
  createMemoryGuard,
} from './limits/memory/memory-guard.ts';
export {
  type GateOptions,
  type OverloadGate,
  type OverloadGateEvents,
  type OverloadGateOptions,
  type OverloadGateStats,
  createOverloadGate,
  gateRequests,
} from './limits/overload/overload-gate.ts';
export { type FileContent, type ReplaceFileOptions } from './limits/disk/replace-file.ts';
export {
  type ResourceAction,
  type ResourceManager,
  type ResourceManagerEvents,
  type ResourceManagerOptions,
  type ResourceReport,
  createResourceManager,
} from './limits/resource-manager.ts';
