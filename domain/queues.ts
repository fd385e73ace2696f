/**
 * Task queues. What holds a slot for long never shares slots with what has to be done at once: a machine's follower holds
 * one for a day, moving data for hours, what a user asks of a running job for a minute, starting and killing for a moment.
 * Nor do calls to strangers' servers.
 */
export const taskQueues = {
  workflows: 'prominence',
  /** Starting and killing on machines. */
  hosts: 'prominence-hosts',
  /** Commands and snapshots of users in running jobs. */
  calls: 'prominence-calls',
  /** One activity per machine. */
  machines: 'prominence-machines',
  transfers: 'prominence-transfers',
  notifications: 'prominence-notifications',
} as const;
