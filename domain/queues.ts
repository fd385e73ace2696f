/** Task queues. Short database work, long work on hosts, and calls to strangers' servers never share slots. */
export const taskQueues = {
  workflows: 'prominence',
  hosts: 'prominence-hosts',
  notifications: 'prominence-notifications',
} as const;
