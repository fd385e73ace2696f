/** Everything a worker offers under `workflows`; the bundle's entry. */
export { callWorkflow } from './call.ts';
export { dagWorkflow } from './dag.ts';
export { groupWorkflow } from './group.ts';
export { jobWorkflow } from './job.ts';
export { machineWorkflow } from './machine.ts';
export { notificationWorkflow } from './notification.ts';
export { shardWorkflow } from './shard.ts';
