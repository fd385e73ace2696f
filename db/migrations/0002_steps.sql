ALTER TABLE "workflow_nodes" RENAME TO "workflow_steps";--> statement-breakpoint
ALTER TABLE "workflow_steps" RENAME COLUMN "node" TO "step";--> statement-breakpoint
ALTER TABLE "workflow_steps" RENAME CONSTRAINT "workflow_nodes_workflow_id_node_pk" TO "workflow_steps_workflow_id_step_pk";--> statement-breakpoint
ALTER INDEX "workflow_nodes_name" RENAME TO "workflow_steps_name";--> statement-breakpoint
ALTER TABLE "jobs" RENAME COLUMN "node" TO "step";--> statement-breakpoint
UPDATE "workflows" SET "rerun_selection" = "rerun_selection" - 'nodes' || jsonb_build_object('steps', "rerun_selection"->'nodes')
WHERE "rerun_selection" ? 'nodes';
