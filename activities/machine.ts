/**
 * The follower: the one long activity per machine. It keeps a watch on all run directories there, copies their output,
 * tells each job when a task ended, clears what no placement claims, and says when the machine is out of sight too
 * long. It holds no state that matters: a new one reads the same directories.
 */
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import type { Database } from '../db/connection.ts';
import { activeRuns, findMachine, markOutOfReach, markReachable, markSeen } from '../db/machines.ts';
import { recordMachineWait } from '../db/execution.ts';
import type { RunLost } from '../domain/job-messages.ts';
import type { MachineFacts } from '../domain/machine.ts';
import { HostError } from '../hosts/host.ts';
import type { Machine, MachineWatch } from '../hosts/machine.ts';
import type { Signals } from './signals.ts';
import { Follower } from './follow.ts';

export interface MachineDependencies {
  db: Database;
  signals: Signals;
  deployment: string;
  logBytesPerStream: number;
  machineLostAfterSeconds: number;
  machine(id: number): Promise<Machine>;
  log: { warn(data: object, message: string): void; info(data: object, message: string): void };
}

export interface MachineActivities {
  followMachine(input: { machineId: number }): Promise<'removed' | 'goOn'>;
}

/** Long enough to cost nothing, short enough that histories of attempts stay small. */
const shiftMilliseconds = 20 * 3600 * 1000;
const reconnectMilliseconds = 1000;
const signalAgainMilliseconds = 10_000;

export function createMachineActivities(deps: MachineDependencies): MachineActivities {
  const { db, log } = deps;
  return {
    async followMachine({ machineId }) {
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat({ machineId }), 3000);
      const end = Date.now() + shiftMilliseconds;
      const isCancelled = () => context.cancellationSignal.aborted;
      const aborted = new Promise<void>((resolve) => {
        context.cancellationSignal.addEventListener('abort', () => resolve(), { once: true });
      });
      let outOfSightSince: number | undefined;
      let isLost = false;
      let toldAt = -Infinity;
      try {
        while (!isCancelled() && Date.now() < end) {
          const row = await findMachine(db, machineId);
          if (!row) return 'removed';
          if (row.state === 'removed') {
            await signalLost(deps, machineId, `machine ${row.name} was taken out of the configuration`);
            return 'removed';
          }
          isLost ||= row.state === 'lost';
          try {
            const { facts, watch } = await reach(await deps.machine(machineId), deps.deployment);
            const follower = new Follower({ ...deps, machineId, watch });
            try {
              // First round before it may get work: what was left there by lost attempts goes away.
              await follower.round();
              await markReachable(db, machineId, facts);
              await recordMachineWait(db, machineId, null);
              if (facts.unableToRun)
                log.warn({ machineId, unableToRun: facts.unableToRun }, 'runtimes can not be used');
              if (
                facts.runtimes.udocker &&
                facts.confinement?.udockerNamespaces === false &&
                isOwn(facts.runtimes.udocker)
              )
                log.warn({ machineId }, 'jobs of udocker can see and change there whatever the account can');
              if (outOfSightSince !== undefined || isLost) log.info({ machineId }, 'machine is back');
              outOfSightSince = undefined;
              isLost = false;
              await follower.follow(context.cancellationSignal, end, async () => {
                await markSeen(db, machineId);
                return (await findMachine(db, machineId))?.state !== 'removed';
              });
            } finally {
              follower.close();
            }
          } catch (error) {
            if (!(error instanceof HostError)) throw error;
            outOfSightSince ??= Date.now();
            const seconds = (Date.now() - outOfSightSince) / 1000;
            log.warn({ machineId, seconds, error: error.message }, 'machine is out of reach');
            if (!isLost) {
              await markOutOfReach(db, machineId, 'unreachable', error.message);
              const since = new Date(outOfSightSince).toISOString().slice(11, 19);
              await recordMachineWait(db, machineId, `waiting since ${since}Z for the machine: ${error.message}`);
            }
            if (!isLost && seconds >= deps.machineLostAfterSeconds) {
              isLost = true;
              await markOutOfReach(db, machineId, 'lost', error.message);
            }
            // Again and again: some were not told when we died in the middle, or had no execution yet that could hear it.
            if (isLost && Date.now() - toldAt >= signalAgainMilliseconds) {
              await signalLost(deps, machineId, `machine ${row.name} was lost: ${error.message}`);
              toldAt = Date.now();
            }
            await Promise.race([pause(reconnectMilliseconds), aborted]);
          }
        }
        if (isCancelled())
          throw context.cancellationSignal.reason ?? ApplicationFailure.retryable('the worker is going away');
        return 'goOn';
      } finally {
        clearInterval(beat);
      }
    },
  };
}

/** @throws HostError also when the machine answers, but can't be used: its disk may be full, or only be read. */
async function reach(machine: Machine, deployment: string): Promise<{ facts: MachineFacts; watch: MachineWatch }> {
  try {
    return { facts: await machine.probe(), watch: await machine.watch(deployment) };
  } catch (error) {
    if (error instanceof HostError) throw error;
    throw new HostError('unreachable', (error as Error).message, { cause: error });
  }
}

/** Every job that is there is told to go elsewhere. Who was told gives up its claim, so that this comes to an end. */
async function signalLost(deps: MachineDependencies, machineId: number, detail: string): Promise<void> {
  for (const run of await activeRuns(deps.db, machineId)) {
    const lost: RunLost = { attempt: run.attempt, cause: 'machineLost', detail };
    await deps.signals.runLost(run.temporalId, lost);
  }
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** udocker itself, which is told by its version alone. */
const isOwn = (udocker: string): boolean => !/^(podman|docker) /.test(udocker);
