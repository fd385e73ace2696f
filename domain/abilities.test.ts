import { expect, it } from 'vitest';
import { abilitiesOf } from './abilities.ts';
import { appsOfImages } from './placement.ts';
import { mountAbility } from './mount.ts';

const mounts = { webdav: '1.60.1' };

it('of a machine with apptainer are its apps and its mounts', () => {
  const abilities = abilitiesOf({ runtimes: { singularity: '1.4.5', udocker: '1.3.17' }, mounts });
  expect(abilities).toEqual(['singularity', 'udocker', appsOfImages, mountAbility('webdav')]);
});

it.each([
  { singularity: 'podman 4.3.1' },
  { singularity: 'docker 28.2.2' },
  { singularity: '1.4.5', udocker: 'podman 4.3.1' },
])('of a machine that runs jobs as %j is no mount: a job could write beside it', (runtimes) => {
  expect(abilitiesOf({ runtimes, mounts })).not.toContain(mountAbility('webdav'));
});

it('of a machine with podman for singularity are no apps', () => {
  expect(abilitiesOf({ runtimes: { singularity: 'podman 4.3.1' } })).toEqual(['singularity']);
});
