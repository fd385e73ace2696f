/** Workflows: submit, list, describe, delete, rerun, remove, clone, graph (spec.md 1.5). */
import type { Context, MiddlewareHandler } from 'hono';
import type { Database } from '../../db/connection.ts';
import type { ListFilter } from '../../db/list-pages.ts';
import {
  findWorkflowHandle,
  listDetailedWorkflows,
  listSteps,
  listWorkflows,
  unfinishedWorkflows,
  type DetailedWorkflow,
  type ListedWorkflow,
  type WorkflowHandle,
} from '../../db/workflow-listing.ts';
import { markDeleted, removeFromQueue } from '../../db/queue-requests.ts';
import { cancelSelected } from '../../db/workflow-requests.ts';
import {
  cloneWorkflow,
  rerunSelected,
  rerunWorkflow,
  type PartialRerunAnswer,
  type RerunAnswer,
} from '../../db/workflow-submissions.ts';
import type { Identity } from '../../db/submissions.ts';
import { submittedWorkflows } from '../../db/submitters.ts';
import { readOptionalJson } from '../body.ts';
import { badRequest, forbidden } from '../errors.ts';
import { readWorkflowQuery } from '../list-query.ts';
import { idList } from '../numbers.ts';
import { workflowOperations as docs } from '../openapi/jobs.ts';
import { entriesOf, type Listing } from '../pages.ts';
import { resource, type App, type Env } from '../resource.ts';
import { readSelection } from '../selection.ts';
import { refuseWithoutRoom } from '../stored-jobs.ts';
import { exactAnswer, jsonArray } from '../streaming.ts';
import { isDryRun, type SubmitDependencies } from '../submit.ts';
import { createWorkflow, dryRun } from '../submit-workflow.ts';
import { graphView, workflowDetailView, workflowListView } from '../workflow-view.ts';
import { idOf, onlyOwnSubmissions } from './jobs.ts';

export function workflowRoutes(app: App, guards: MiddlewareHandler<Env>[], deps: SubmitDependencies): void {
  const { db, wakeOutbox } = deps;
  const unfinished = (filter: ListFilter, after: number) => unfinishedWorkflows(db, filter, after);
  const plain: Listing<ListFilter, ListedWorkflow> = {
    pageSize: 500,
    read: (filter, page) => listWorkflows(db, filter, page),
    unfinished,
    show: (workflows) => workflows.map(workflowListView),
  };
  const detailed: Listing<ListFilter, DetailedWorkflow> = {
    pageSize: 20,
    read: (filter, page) => listDetailedWorkflows(db, filter, page),
    unfinished,
    show: (workflows) => workflows.map(workflowDetailView),
  };

  const remove = async (c: Context<Env>, ids: number[]) => {
    const { owner, job } = c.get('identity');
    const changeable = job ? await submittedWorkflows(db, job.id, ids) : ids;
    const found = await markDeleted(db, 'workflow', owner, changeable);
    if (found === 0) throw job ? forbidden(onlyOwnSubmissions) : badRequest('No such workflow(s)');
    wakeOutbox();
    return c.json({});
  };
  const own = (c: Context<Env>) => ownWorkflow(db, c.get('identity'), idOf(c)[0]);

  resource(app, '/workflows', guards, {
    docs: { GET: docs.list, POST: docs.submit, DELETE: docs.deleteSeveral },
    GET: (c) => {
      const { listed, isDetailed } = readWorkflowQuery(c, c.get('identity').owner);
      return jsonArray(c, isDetailed ? entriesOf(listed, detailed) : entriesOf(listed, plain));
    },
    POST: async (c) => {
      if (isDryRun(c)) return exactAnswer(c, await dryRun(c, deps));
      return c.json({ id: await createWorkflow(c, deps) }, 201);
    },
    DELETE: (c) => {
      const message = 'a workflow id or list of workflow ids must be provided';
      return remove(c, idList(c.req.query('id') ?? '', message));
    },
  });

  resource(app, '/workflows/:id{[0-9]+}', guards, {
    docs: { GET: docs.describe, PUT: docs.rerun, DELETE: docs.delete },
    GET: async (c) => {
      const filter = { owner: c.get('identity').owner, ids: idOf(c), scope: 'any' } as const;
      const { rows } = await listDetailedWorkflows(db, filter, { direction: 'newest', limit: 1 });
      return exactAnswer(c, rows.map(workflowDetailView));
    },
    PUT: async (c) => {
      const { id, total } = await own(c);
      const selection = readSelection(await readOptionalJson(c));
      const identity = c.get('identity');
      await refuseWithoutRoom(db, identity.owner);
      const rerun = await deps.quotas.submitting<RerunAnswer | PartialRerunAnswer>(identity.owner, total, () =>
        selection ? rerunSelected(db, identity, id, selection) : rerunWorkflow(db, identity, id),
      );
      if (rerun.kind !== 'accepted') throw badRequest(notRerunnable(rerun));
      wakeOutbox();
      return c.json({ id: rerun.id });
    },
    DELETE: (c) => remove(c, idOf(c)),
  });

  resource(app, '/workflows/:id{[0-9]+}/cancel', guards, {
    docs: { PUT: docs.cancel },
    PUT: async (c) => {
      const { id, owner } = await own(c);
      const selection = readSelection(await readOptionalJson(c));
      if (!selection) throw badRequest('select jobs, instances or states: to end all of it, delete the workflow');
      const cancelled = await cancelSelected(db, owner, id, selection);
      if (cancelled.kind !== 'accepted') throw badRequest(notSelectable(cancelled));
      wakeOutbox();
      return c.json({ cancelled: cancelled.count });
    },
  });

  resource(app, '/workflows/:id{[0-9]+}/remove', guards, {
    docs: { PUT: docs.remove },
    PUT: async (c) => {
      const { id, owner, submittedBy } = await own(c);
      const { job } = c.get('identity');
      if (job && submittedBy !== job.id) throw forbidden(onlyOwnSubmissions);
      const isRemoved = await removeFromQueue(db, 'workflow', owner, id);
      if (!isRemoved) throw badRequest('Workflow is no longer in the queue');
      return c.json({});
    },
  });

  resource(app, '/workflows/:id{[0-9]+}/clone', guards, {
    docs: { PUT: docs.clone },
    PUT: async (c) => {
      const { id, owner, total } = await own(c);
      await refuseWithoutRoom(db, owner);
      const clone = await deps.quotas.submitting(owner, total, () => cloneWorkflow(db, c.get('identity'), id));
      if (!clone) throw badRequest('Workflow does not exist');
      wakeOutbox();
      return c.json({ id: clone.id }, 201);
    },
  });

  resource(app, '/workflows/:id{[0-9]+}/graph', guards, {
    docs: { GET: docs.graph },
    GET: async (c) => {
      const { id, name, status } = await own(c);
      return c.json({ id, name, status, ...graphView(await listSteps(db, id)) });
    },
  });
}

function notRerunnable(answer: Exclude<RerunAnswer | PartialRerunAnswer, { kind: 'accepted' }>): string {
  switch (answer.kind) {
    case 'unfinished':
      return 'name' in answer
        ? `jobs "${answer.name}" have not ended: wait for them, or select by status`
        : 'Unable to find re-run workflow as the original workflow is not in a suitable state';
    case 'nothingSelected':
      return 'the selection has no job of the workflow';
    case 'parentMissing':
      return `job "${answer.name}" needs results of "${answer.parent}", which has not succeeded and is not selected`;
    case 'unknown':
    case 'unexpanded':
    case 'unknownJob':
      return notSelectable(answer);
  }
}

function notSelectable(answer: { kind: 'unknown' } | { kind: 'unexpanded' } | { kind: 'unknownJob'; name: string }) {
  switch (answer.kind) {
    case 'unknown':
      return 'Workflow does not exist';
    case 'unexpanded':
      return 'the jobs of the workflow are still being made: try again in a few seconds';
    case 'unknownJob':
      return `there is no job "${answer.name}" in the workflow`;
  }
}

/** @throws ApiError 400 when there is no such workflow, 403 when it is someone else's */
export async function ownWorkflow(db: Database, identity: Identity, id: number | undefined): Promise<WorkflowHandle> {
  const workflow = id === undefined ? undefined : await findWorkflowHandle(db, id);
  if (!workflow) throw badRequest('Workflow does not exist');
  if (workflow.owner !== identity.owner) throw forbidden('Not authorized to access this workflow');
  return workflow;
}
