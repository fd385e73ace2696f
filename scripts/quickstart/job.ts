/** The example job: approximates pi in a few seconds, with an input file, live output and an output file. */
import type { JobDocument } from '../../client/types.ts';

const script = `#!/bin/sh
# The Leibniz series, in five rounds; one line each, so that there is something to watch.
awk -v terms="$(cat terms.txt)" 'BEGIN {
  for (round = 1; round <= 5; round++) {
    for (end = i + terms; i < end; i++) sum += (i % 2 ? -4 : 4) / (2 * i + 1)
    printf "round %d: pi is about %.7f after %d terms\\n", round, sum, i
    fflush()
    system("sleep 1")
  }
  printf "%.7f\\n", sum > "pi.txt"
}'
echo "done on $(hostname), $(nproc) processors"
`;

export const outputFile = 'pi.txt';

export function exampleJob(image: string): JobDocument {
  return {
    name: 'quickstart',
    labels: { example: 'pi' },
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 1, walltime: 10 },
    inputs: [
      { filename: 'pi.sh', content: base64(script), executable: true },
      { filename: 'terms.txt', content: base64('100000\n') },
    ],
    tasks: [{ image, runtime: 'singularity', cmd: 'sh pi.sh' }],
    outputFiles: [outputFile],
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
