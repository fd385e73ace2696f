/**
 * Task queues. What holds a slot for long never shares slots with what has to be done at once: a machine's follower holds
 * one for a day, moving data for hours, starting and killing for a moment. Nor do calls to strangers' servers.
 */
export const taskQueues = {
  workflows: 'prominence',
  /** Short commands on machines. */
  hosts: 'prominence-hosts',
  /** One activity per machine. */
  machines: 'prominence-machines',
  transfers: 'prominence-transfers',
  notifications: 'prominence-notifications',
} as const;
