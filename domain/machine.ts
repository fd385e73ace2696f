/** What really runs containers; apptainer may have its old name, singularity. */
export type RuntimeProgram = 'apptainer' | 'udocker' | 'podman' | 'docker';

/** The programs of a site for the two names that jobs use; `none`: it does not take such jobs. */
export interface RuntimePrograms {
  singularity: Exclude<RuntimeProgram, 'udocker'> | 'none';
  udocker: Exclude<RuntimeProgram, 'apptainer'> | 'none';
}

/**
 * What a job sees of networks: `isolated` has the world, and of the machine only what it is given on purpose; `none` has
 * only that; `host` is the machine's own network.
 */
export type NetworkMode = 'isolated' | 'none' | 'host';

/** What a site asks of its machines. `auto`: isolated where a machine can, else the machine's own. */
export interface NetworkWish {
  mode: 'auto' | NetworkMode;
  /** `host:port` of what jobs must reach, also where it is on the machine itself: our API and the object store. */
  reachable: string[];
}

/** The reason tells why jobs are in the machine's own network though the site did not ask for that. */
export interface NetworkFact {
  mode: NetworkMode;
  reason?: string;
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
  /** What networks the containers of each runtime have. Absent: it was found before that was asked. */
  networks?: { singularity?: NetworkFact; udocker?: NetworkFact };
  /** Versions of what can mount users' storage, by kind (domain/mount.ts). Absent: it was found before that was asked. */
  mounts?: { webdav?: string; onedata?: string };
  /**
   * What keeps a job from what is not its own. `ownMounts`: its folders can be bound while it runs. `udockerNamespaces`: a
   * udocker job sees no files and processes but its own. Absent: it was found before that was asked.
   */
  confinement?: { ownMounts: boolean; udockerNamespaces: boolean };
  /** Programs beyond POSIX, coreutils, tar and curl that a step can use where they exist. */
  tools: { gzip: boolean; bzip2: boolean; unzip: boolean };
}

/** Of a machine as a whole: that of the runtime that keeps its jobs apart the least. */
export function networkOf({ networks = {} }: Pick<MachineFacts, 'networks'>): NetworkFact | undefined {
  const facts = Object.values(networks);
  return facts.find(({ mode }) => mode === 'host') ?? facts.find(({ mode }) => mode === 'isolated') ?? facts[0];
}
