CREATE TABLE "bars" (
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"reason" text,
	"barred_by" text NOT NULL,
	"barred_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "bars_kind_name_pk" PRIMARY KEY("kind","name")
);
--> statement-breakpoint
CREATE TABLE "pending_puts" (
	"object_key" text PRIMARY KEY NOT NULL,
	"owner" text NOT NULL,
	"kind" text NOT NULL,
	"announced_at" timestamp with time zone DEFAULT now() NOT NULL,
	"looked_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "stored_objects" (
	"object_key" text PRIMARY KEY NOT NULL,
	"owner" text NOT NULL,
	"kind" text NOT NULL,
	"size" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "submit_counts" (
	"owner" text NOT NULL,
	"minute" timestamp with time zone NOT NULL,
	"submits" integer NOT NULL,
	CONSTRAINT "submit_counts_owner_minute_pk" PRIMARY KEY("owner","minute")
);
--> statement-breakpoint
DROP INDEX "placement_requests_turn";--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "sign_in_ends" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "placement_requests" ADD COLUMN "workflow_id" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "placements" ADD COLUMN "workflow_id" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "workflows" ADD COLUMN "sign_in_ends" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "workflows" ADD COLUMN "deleted" integer;--> statement-breakpoint
CREATE INDEX "stored_objects_owner" ON "stored_objects" USING btree ("owner","size");--> statement-breakpoint
CREATE INDEX "submit_counts_minute" ON "submit_counts" USING btree ("minute");--> statement-breakpoint
CREATE INDEX "jobs_owner_unfinished" ON "jobs" USING btree ("owner") WHERE workflow_id is null and status in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "workflows_owner_unfinished" ON "workflows" USING btree ("owner") WHERE status in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "placement_requests_turn" ON "placement_requests" USING btree ("owner",(- priority),"workflow_id","id");--> statement-breakpoint
INSERT INTO "stored_objects" ("object_key", "owner", "kind", "size")
SELECT DISTINCT ON (outputs.object_key) outputs.object_key, jobs.owner, 'output', outputs.size
FROM "outputs" JOIN "jobs" ON jobs.id = outputs.job_id WHERE outputs.size IS NOT NULL
ORDER BY outputs.object_key, jobs.id;
