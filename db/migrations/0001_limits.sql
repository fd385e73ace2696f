DROP INDEX "placement_requests_turn";--> statement-breakpoint
ALTER TABLE "placement_requests" ADD COLUMN "workflow_id" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "placements" ADD COLUMN "workflow_id" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "workflows" ADD COLUMN "deleted" integer;--> statement-breakpoint
CREATE INDEX "placement_requests_turn" ON "placement_requests" USING btree ("owner",(- priority),"workflow_id","id");