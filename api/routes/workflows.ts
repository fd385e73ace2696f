/** Workflows: submit, list, describe, delete, rerun, remove, clone, graph (docs/wire.md 2.4). */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import type { ListFilter } from '../../db/list-pages.ts';
import {
  listDetailedWorkflows,
  listSteps,
  listWorkflows,
  unfinishedWorkflows,
  type DetailedWorkflow,
  type ListedWorkflow,
  type WorkflowHandle,
} from '../../db/workflow-listing.ts';
import { cancelSelected } from '../../db/workflow-requests.ts';
import { planWorkflow } from '../../domain/workflow-plan.ts';
import { deleteWorkflows, removeWorkflow } from '../../service/deletions.ts';
import { ownWorkflow } from '../../service/own.ts';
import type { SubmitDependencies } from '../../service/submit-job.ts';
import { clone, dryRun, notSelectable, rerun, submit } from '../../service/submit-workflow.ts';
import { readDescription, readOptionalJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { readWorkflowQuery } from '../list-query.ts';
import { idList } from '../numbers.ts';
import { workflowOperations as docs } from '../openapi/jobs.ts';
import { entriesOf, type Listing } from '../pages.ts';
import { planView } from '../plan-view.ts';
import { resource, type App, type Env, type Guards } from '../resource.ts';
import { readSelection } from '../selection.ts';
import { exactAnswer, jsonArray } from '../streaming.ts';
import { graphView, workflowDetailView, workflowListView } from '../workflow-view.ts';
import { idOf, isDryRun } from './jobs.ts';

export function workflowRoutes(app: App, guards: Guards, deps: SubmitDependencies): void {
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
    await deleteWorkflows(deps, c.get('identity'), ids);
    return c.json({});
  };

  resource(app, '/workflows', guards, {
    docs: { GET: docs.list, POST: docs.submit, DELETE: docs.deleteSeveral },
    jobToken: { GET: 'reads', POST: 'submits', DELETE: 'changes' },
    GET: (c) => {
      const { listed, isDetailed } = readWorkflowQuery(c, c.get('identity').owner);
      return jsonArray(c, isDetailed ? entriesOf(listed, detailed) : entriesOf(listed, plain));
    },
    POST: async (c) => {
      const document = await readDescription(c);
      const identity = c.get('identity');
      if (isDryRun(c)) {
        const description = await dryRun(deps, identity, document);
        return exactAnswer(c, planView(description.name, planWorkflow(description)));
      }
      const idempotencyKey = c.req.header('idempotency-key');
      return c.json({ id: await submit(deps, identity, document, { idempotencyKey }) }, 201);
    },
    DELETE: (c) => {
      const message = 'a workflow id or list of workflow ids must be provided';
      return remove(c, idList(c.req.query('id') ?? '', message));
    },
  });

  resource(app, '/workflows/:id{[0-9]+}', guards, {
    docs: { GET: docs.describe, PUT: docs.rerun, DELETE: docs.delete },
    jobToken: { GET: 'reads', PUT: 'submits', DELETE: 'changes' },
    GET: async (c) => {
      const filter = { owner: c.get('identity').owner, ids: idOf(c), scope: 'any' } as const;
      const { rows } = await listDetailedWorkflows(db, filter, { direction: 'newest', limit: 1 });
      return exactAnswer(c, rows.map(workflowDetailView));
    },
    PUT: async (c) => {
      const workflow = await workflowOf(db, c);
      const selection = readSelection(await readOptionalJson(c));
      return c.json({ id: await rerun(deps, c.get('identity'), workflow, selection) });
    },
    DELETE: (c) => remove(c, idOf(c)),
  });

  resource(app, '/workflows/:id{[0-9]+}/cancel', guards, {
    docs: { PUT: docs.cancel },
    PUT: async (c) => {
      const { id, owner } = await workflowOf(db, c);
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
    jobToken: { PUT: 'changes' },
    PUT: async (c) => {
      await removeWorkflow(db, c.get('identity'), idOf(c)[0]);
      return c.json({});
    },
  });

  resource(app, '/workflows/:id{[0-9]+}/clone', guards, {
    docs: { PUT: docs.clone },
    jobToken: { PUT: 'submits' },
    PUT: async (c) => {
      const workflow = await workflowOf(db, c);
      return c.json({ id: await clone(deps, c.get('identity'), workflow) }, 201);
    },
  });

  resource(app, '/workflows/:id{[0-9]+}/graph', guards, {
    docs: { GET: docs.graph },
    jobToken: { GET: 'reads' },
    GET: async (c) => {
      const { id, name, status } = await workflowOf(db, c);
      return c.json({ id, name, status, ...graphView(await listSteps(db, id)) });
    },
  });
}

/** What its owner has of it. @throws Rejected */
export const workflowOf = (db: Database, c: Context<Env>): Promise<WorkflowHandle> =>
  ownWorkflow(db, c.get('identity'), idOf(c)[0]);
