/** What really runs containers; apptainer may have its old name, singularity. */
export type RuntimeProgram = 'apptainer' | 'udocker' | 'podman' | 'docker';

/** The programs of a site for the two names that jobs use. */
export interface RuntimePrograms {
  singularity: Exclude<RuntimeProgram, 'udocker'>;
  udocker: Exclude<RuntimeProgram, 'apptainer'>;
}

/** What a machine says of itself when it is probed. */
export interface MachineFacts {
  /** Changes when the machine restarts: processes of an earlier boot are gone. */
  bootId: string;
  hostname: string;
  cpus: number;
  memoryBytes: number;
  /** Free on the file system of the work directory. */
  diskFreeBytes: number;
  cpu: { vendor: string; model: string; clock: string };
  /** Versions of the container runtimes found, those of podman and docker after their names; absent: not there. */
  runtimes: { singularity?: string; udocker?: string };
  /** Why a configured runtime can't be used, where that is more than its absence. */
  unableToRun?: { singularity?: string; udocker?: string };
  /** Versions of what can mount users' storage, by kind (domain/storage.ts). Absent: it was found before that was asked. */
  mounts?: { webdav?: string; onedata?: string };
  /** Programs beyond POSIX, coreutils, tar and curl that a step can use where they exist. */
  tools: { gzip: boolean; bzip2: boolean; unzip: boolean };
}
