import { expect, it } from 'vitest';
import { networkOf } from '../domain/machine.ts';
import { parseFacts } from './machine-facts.ts';

const told = (...lines: string[]) => parseFacts(['hostname h', 'tool setsid', ...lines, ''].join('\n'));

it('tells usual runtimes by their version, and others by their name as well', () => {
  expect(told('singularity apptainer version 1.4.5', 'udocker 1.3.17/1.2.11').runtimes).toEqual({
    singularity: '1.4.5',
    udocker: '1.3.17/1.2.11',
  });
  expect(told('singularity podman 4.3.1', 'udocker docker 28.2.2').runtimes).toEqual({
    singularity: 'podman 4.3.1',
    udocker: 'docker 28.2.2',
  });
});

it('tells what networks the jobs of each runtime have', () => {
  const lines = ['singularity 1.4.5', 'network singularity isolated', 'network udocker host there is no pasta'];
  expect(told(...lines).networks).toEqual({
    singularity: { mode: 'isolated' },
    udocker: { mode: 'host', reason: 'there is no pasta' },
  });
  expect(networkOf(told(...lines))).toEqual({ mode: 'host', reason: 'there is no pasta' });
  expect(networkOf(told('network singularity isolated', 'network udocker none'))).toEqual({ mode: 'isolated' });
  expect(networkOf(told())).toBeUndefined();
});

it('tells why a runtime can not be used', () => {
  const facts = told('unable singularity podman can not run containers: newuidmap: not found', 'udocker 1.3.17/1.2.11');
  expect(facts.unableToRun).toEqual({ singularity: 'podman can not run containers: newuidmap: not found' });
  expect(facts.runtimes).toEqual({ udocker: '1.3.17/1.2.11' });
  expect(told()).not.toHaveProperty('unableToRun');
});

it('tells a runtime that the site does not take, and what keeps jobs apart', () => {
  const facts = told(
    'singularity apptainer version 1.4.5',
    'unable udocker the site does not take such jobs',
    'ownMounts yes',
  );
  expect(facts.runtimes).toEqual({ singularity: '1.4.5' });
  expect(facts.unableToRun).toEqual({ udocker: 'the site does not take such jobs' });
  expect(facts.confinement).toEqual({ ownMounts: true, udockerNamespaces: false });
});
