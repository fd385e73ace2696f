/** A task may be launched several times in one run (task retries); each launch has a place of its own in the run directory. */

export const launchesPerTask = 10;

/** Which task a launch is of. */
export const taskOfLaunch = (launch: number): number => Math.floor(launch / launchesPerTask);

export function launchNumberOf(taskIndex: number, retry: number): number {
  if (retry >= launchesPerTask)
    throw new RangeError(`retry ${retry}: a task is launched at most ${launchesPerTask} times`);
  return taskIndex * launchesPerTask + retry;
}
