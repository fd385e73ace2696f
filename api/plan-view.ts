/** What a workflow would be made of, as the dry run tells it: counts, order, and examples of what factories make. */
import { warningsOfPlan } from '../descriptions/templates.ts';
import { instanceParameters, substitute } from '../domain/instance.ts';
import { nodeSizes } from '../domain/node-size.ts';
import { shownParameters, type Parameters } from '../domain/parameters.ts';
import { jobName, type PlannedNode, type WorkflowPlan } from '../domain/workflow-plan.ts';

const mostExamples = { ofNode: 100, ofPlan: 10_000 };

/** Of all examples together, as they could be at most: a long command fills this with few of them, or has none. */
const mostCharacters = 4_000_000;

export function planView(workflowName: string, { nodes, total }: WorkflowPlan): Record<string, unknown> {
  const levels = levelsOf(nodes);
  const warnings = warningsOfPlan(nodes);
  const factories = nodes.filter(({ factory }) => factory !== undefined).length;
  const most = Math.min(mostExamples.ofNode, Math.ceil(mostExamples.ofPlan / Math.max(1, factories)));
  const sizes = nodeSizes(nodes);
  let room = mostCharacters;
  const examples = (node: PlannedNode, position: number) => {
    const { ofInstance } = sizes[position]!;
    const count = Math.min(node.count, most, Math.floor(room / Math.max(1, ofInstance)));
    room -= count * ofInstance;
    return examplesOf(workflowName, node, count);
  };
  return {
    name: workflowName,
    total,
    levels: levels.names,
    ...(warnings.length > 0 ? { warnings } : {}),
    nodes: nodes.map((node, position) => ({
      name: node.name,
      count: node.count,
      level: levels.ofNode[position],
      parents: node.parents.map((parent) => nodes[parent]?.name),
      ...(node.factory ? { instances: examples(node, position) } : {}),
    })),
  };
}

/** Level 0 waits for nothing; every node is one above the highest of its parents. */
export function levelsOf(nodes: Pick<PlannedNode, 'name' | 'parents'>[]): { ofNode: number[]; names: string[][] } {
  const ofNode = nodes.map(() => 0);
  const children: number[][] = nodes.map(() => []);
  const open = nodes.map(({ parents }) => parents.length);
  nodes.forEach(({ parents }, node) => parents.forEach((parent) => children[parent]?.push(node)));
  const names: string[][] = [];
  for (let level = open.flatMap((count, node) => (count === 0 ? [node] : [])); level.length > 0;) {
    const next: number[] = [];
    for (const node of level) {
      ofNode[node] = names.length;
      for (const child of children[node] ?? []) {
        open[child] = (open[child] ?? 0) - 1;
        if (open[child] === 0) next.push(child);
      }
    }
    names.push(level.map((node) => nodes[node]?.name ?? ''));
    level = next;
  }
  return { ofNode, names };
}

function examplesOf(workflowName: string, node: PlannedNode, count: number): Record<string, unknown>[] {
  const { factory } = node;
  if (!factory) return [];
  return Array.from({ length: count }, (_, instance) => {
    const parameters = instanceParameters(factory, instance);
    return {
      instance,
      name: jobName(workflowName, { name: node.name, isFactory: true }, instance),
      parameters: shownParameters(parameters),
      ...substituted(node, parameters),
    };
  });
}

/** Where parameters are put. Ids are not known yet and stay names. */
function substituted({ description }: PlannedNode, parameters: Parameters): Record<string, unknown> {
  const put = (text: string) => substitute(text, parameters);
  const { tasks, artifacts, outputFiles, outputDirs } = description;
  const urls = artifacts.map(({ url }) => (url.includes('http') ? url : put(url)));
  return {
    commands: tasks.map(({ cmd }) => (cmd === undefined ? null : put(cmd))),
    ...(urls.length > 0 ? { artifacts: urls } : {}),
    ...(outputFiles.length > 0 ? { outputFiles: outputFiles.map(put) } : {}),
    ...(outputDirs.length > 0 ? { outputDirs: outputDirs.map(put) } : {}),
  };
}
