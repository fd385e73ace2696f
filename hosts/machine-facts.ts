/** What `scripts/probe.sh` tells about a machine. */
import type { MachineFacts, NetworkFact, NetworkMode, NetworkWish, RuntimePrograms } from '../domain/machine.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';

/** @throws HostError; Error when the work directory can't be used */
export async function probe(
  scripts: ScriptRunner,
  label: string,
  programs: RuntimePrograms,
  network: NetworkWish,
): Promise<MachineFacts> {
  const args = [programs.singularity, programs.udocker, network.mode, ...network.reachable];
  const result = await scripts.run('probe', { args, timeoutSeconds: 120 });
  if (result.exitCode !== 0) throw new Error(`${label} can't be used: ${lastWords(result.stderr)}`);
  return parseFacts(result.stdout.toString());
}

export function parseFacts(text: string): MachineFacts {
  const values = new Map<string, string>();
  const tools = new Set<string>();
  const unable: [string, string][] = [];
  const networks: [string, NetworkFact][] = [];
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const value = line.slice(space + 1).trim();
    if (line.startsWith('tool ')) tools.add(value);
    else if (line.startsWith('network ')) networks.push(networkFact(value));
    else if (line.startsWith('unable ')) unable.push([value.split(' ', 1)[0]!, value.slice(value.indexOf(' ') + 1)]);
    else values.set(line.slice(0, space), value);
  }
  const singularity = version(values.get('singularity'));
  const udocker = version(values.get('udocker'));
  return {
    bootId: values.get('boot') ?? '',
    hostname: values.get('hostname') ?? '',
    cpus: Number(values.get('cpus') ?? 1),
    memoryBytes: Number(values.get('memoryKib') ?? 0) * 1024,
    diskFreeBytes: Number(values.get('diskFreeKib') ?? 0) * 1024,
    cpu: {
      vendor: values.get('cpuVendor') ?? '',
      model: values.get('cpuModel') ?? '',
      clock: values.get('cpuClock') ?? '',
    },
    runtimes: {
      ...(tools.has('setsid') && singularity !== undefined ? { singularity } : {}),
      ...(tools.has('setsid') && udocker !== undefined ? { udocker } : {}),
    },
    ...(unable.length > 0 ? { unableToRun: Object.fromEntries(unable) } : {}),
    ...(networks.length > 0 ? { networks: Object.fromEntries(networks) } : {}),
    mounts: {
      ...(values.has('mountWebdav') ? { webdav: version(values.get('mountWebdav')) ?? '' } : {}),
      ...(values.has('mountOnedata') ? { onedata: version(values.get('mountOnedata')) ?? '' } : {}),
    },
    confinement: { ownMounts: values.has('ownMounts'), udockerNamespaces: values.has('udockerNamespaces') },
    tools: { gzip: tools.has('gzip'), bzip2: tools.has('bzip2'), unzip: tools.has('unzip') },
  };
}

/** `singularity isolated`, or `udocker host the reason why`. */
function networkFact(text: string): [string, NetworkFact] {
  const [runtime = '', mode, ...reason] = text.split(' ');
  return [runtime, { mode: mode as NetworkMode, ...(reason.length > 0 ? { reason: reason.join(' ') } : {}) }];
}

/** `apptainer version 1.4.5` and `singularity-ce version 4.1.0-1` both hold one. Other programs are told by name. */
function version(text: string | undefined): string | undefined {
  if (text === undefined || /^(podman|docker) /.test(text)) return text;
  return /\d+(\.\d+)+\S*/.exec(text)?.[0] ?? text;
}
