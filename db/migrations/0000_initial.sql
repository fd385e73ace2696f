CREATE SEQUENCE "public"."ids" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "attempts" (
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"site" text NOT NULL,
	"machine_id" integer NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	"outcome" text,
	"detail" text,
	CONSTRAINT "attempts_job_id_attempt_pk" PRIMARY KEY("job_id","attempt")
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"owner" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"resource_id" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_owner_key_pk" PRIMARY KEY("owner","key")
);
--> statement-breakpoint
CREATE TABLE "job_call_output" (
	"call_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"bytes" "bytea" NOT NULL,
	CONSTRAINT "job_call_output_call_id_position_pk" PRIMARY KEY("call_id","position")
);
--> statement-breakpoint
CREATE TABLE "job_calls" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"request" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"result" jsonb
);
--> statement-breakpoint
CREATE TABLE "job_events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" integer NOT NULL,
	"attempt" integer DEFAULT 0 NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"kind" text NOT NULL,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "job_logs" (
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"node" integer NOT NULL,
	"stream" text NOT NULL,
	"byte_offset" bigint NOT NULL,
	"byte_length" integer NOT NULL,
	"bytes" "bytea" NOT NULL,
	CONSTRAINT "job_logs_job_id_attempt_node_stream_byte_offset_pk" PRIMARY KEY("job_id","attempt","node","stream","byte_offset")
);
--> statement-breakpoint
CREATE TABLE "job_points" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" integer NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"measurement" text NOT NULL,
	"field" text NOT NULL,
	"tags" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"value" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" integer PRIMARY KEY DEFAULT nextval('ids') NOT NULL,
	"uid" uuid DEFAULT gen_random_uuid() NOT NULL,
	"owner" text NOT NULL,
	"groups" text[] DEFAULT '{}' NOT NULL,
	"email" text,
	"name" text DEFAULT '' NOT NULL,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"status_reason" text,
	"status_detail" text,
	"submitted" json,
	"description" jsonb,
	"notification_count" integer GENERATED ALWAYS AS (jsonb_array_length(description->'notifications')) STORED,
	"leave_in_queue" boolean DEFAULT false NOT NULL,
	"in_queue" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"delete_requested_at" timestamp with time zone,
	"attempt" integer DEFAULT 0 NOT NULL,
	"execution" jsonb DEFAULT '{"tasks":[]}'::jsonb NOT NULL,
	"temporal_id" text NOT NULL,
	"workflow_id" integer,
	"node" integer,
	"instance" integer,
	"parameters" jsonb,
	"succeeded" boolean,
	"kept_from" integer,
	"submitted_by" integer,
	CONSTRAINT "jobs_described" CHECK ((submitted is not null and description is not null) or (workflow_id is not null and node is not null))
);
--> statement-breakpoint
CREATE TABLE "key_values" (
	"owner" text NOT NULL,
	"key" text collate "C" NOT NULL,
	"value" "bytea" NOT NULL,
	"sealed_with" text,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "key_values_owner_key_pk" PRIMARY KEY("owner","key")
);
--> statement-breakpoint
CREATE TABLE "machine_images" (
	"machine_id" integer NOT NULL,
	"image_key" text NOT NULL,
	"file_sha256" text NOT NULL,
	"digest" text,
	"size" bigint NOT NULL,
	"resolved_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "machine_images_machine_id_image_key_pk" PRIMARY KEY("machine_id","image_key")
);
--> statement-breakpoint
CREATE TABLE "machines" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "machines_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"site" text NOT NULL,
	"region" text,
	"name" text NOT NULL,
	"state" text DEFAULT 'starting' NOT NULL,
	"cpus" integer NOT NULL,
	"memory" bigint NOT NULL,
	"disk" bigint NOT NULL,
	"free_cpus" integer NOT NULL,
	"free_memory" bigint NOT NULL,
	"free_disk" bigint NOT NULL,
	"facts" jsonb,
	"last_seen_at" timestamp with time zone,
	"last_error" text
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"subject_id" integer NOT NULL,
	"position" integer NOT NULL,
	"state" text NOT NULL,
	"attempts" integer NOT NULL,
	"detail" text,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "notifications_subject_id_position_pk" PRIMARY KEY("subject_id","position")
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"target" text NOT NULL,
	"payload" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outputs" (
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"object_key" text NOT NULL,
	"size" bigint,
	CONSTRAINT "outputs_job_id_attempt_kind_name_pk" PRIMARY KEY("job_id","attempt","kind","name")
);
--> statement-breakpoint
CREATE TABLE "past_usage" (
	"owner" text NOT NULL,
	"groups" text[] NOT NULL,
	"day" date NOT NULL,
	"jobs" integer NOT NULL,
	"cpu_seconds" double precision NOT NULL,
	"wall_seconds" double precision NOT NULL,
	CONSTRAINT "past_usage_owner_groups_day_pk" PRIMARY KEY("owner","groups","day")
);
--> statement-breakpoint
CREATE TABLE "placement_requests" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"owner" text NOT NULL,
	"priority" integer DEFAULT 0 NOT NULL,
	"sizes" jsonb NOT NULL,
	"sites" text[] DEFAULT '{}' NOT NULL,
	"regions" text[] DEFAULT '{}' NOT NULL,
	"preferred_sites" text[] DEFAULT '{}' NOT NULL,
	"preferred_regions" text[] DEFAULT '{}' NOT NULL,
	"abilities" text[] DEFAULT '{}' NOT NULL,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"waits_out" text NOT NULL,
	"temporal_id" text NOT NULL,
	"is_of_shard" boolean DEFAULT false NOT NULL,
	"expires_at" timestamp with time zone,
	"refusal" text
);
--> statement-breakpoint
CREATE TABLE "placements" (
	"job_id" integer NOT NULL,
	"attempt" integer NOT NULL,
	"node" integer NOT NULL,
	"machine_id" integer NOT NULL,
	"owner" text NOT NULL,
	"cpus" integer NOT NULL,
	"memory" bigint NOT NULL,
	"disk" bigint NOT NULL,
	"granted_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "placements_job_id_attempt_node_pk" PRIMARY KEY("job_id","attempt","node")
);
--> statement-breakpoint
CREATE TABLE "uploads" (
	"object_key" text PRIMARY KEY NOT NULL,
	"sha256" text NOT NULL,
	"is_verified" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "workflow_nodes" (
	"workflow_id" integer NOT NULL,
	"node" integer NOT NULL,
	"name" text NOT NULL,
	"first_job_id" integer NOT NULL,
	"count" integer NOT NULL,
	"is_factory" boolean NOT NULL,
	"submitted" json NOT NULL,
	"description" jsonb NOT NULL,
	"notification_count" integer GENERATED ALWAYS AS (jsonb_array_length(description->'notifications')) STORED,
	"parents" integer[] DEFAULT '{}' NOT NULL,
	"is_released" boolean DEFAULT false NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"queued" integer DEFAULT 0 NOT NULL,
	"skipped" integer DEFAULT 0 NOT NULL,
	"left_out" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "workflow_nodes_workflow_id_node_pk" PRIMARY KEY("workflow_id","node")
);
--> statement-breakpoint
CREATE TABLE "workflows" (
	"id" integer PRIMARY KEY NOT NULL,
	"uid" uuid DEFAULT gen_random_uuid() NOT NULL,
	"owner" text NOT NULL,
	"groups" text[] DEFAULT '{}' NOT NULL,
	"email" text,
	"name" text DEFAULT '' NOT NULL,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"status_reason" text,
	"status_detail" text,
	"submitted" json NOT NULL,
	"description" jsonb NOT NULL,
	"notification_count" integer GENERATED ALWAYS AS (jsonb_array_length(description->'notifications')) STORED,
	"leave_in_queue" boolean DEFAULT false NOT NULL,
	"in_queue" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"delete_requested_at" timestamp with time zone,
	"temporal_id" text NOT NULL,
	"first_job_id" integer NOT NULL,
	"total" integer NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"queued" integer DEFAULT 0 NOT NULL,
	"skipped" integer DEFAULT 0 NOT NULL,
	"left_out" integer DEFAULT 0 NOT NULL,
	"is_expanded" boolean DEFAULT false NOT NULL,
	"rerun_of" integer,
	"rerun_selection" jsonb,
	"submitted_by" integer,
	"removal_begun" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
ALTER TABLE "job_call_output" ADD CONSTRAINT "job_call_output_call_id_job_calls_id_fk" FOREIGN KEY ("call_id") REFERENCES "public"."job_calls"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "job_calls_job" ON "job_calls" USING btree ("job_id","created_at");--> statement-breakpoint
CREATE INDEX "job_events_job" ON "job_events" USING btree ("job_id","id");--> statement-breakpoint
CREATE INDEX "job_points_job" ON "job_points" USING btree ("job_id","at");--> statement-breakpoint
CREATE INDEX "jobs_workflow" ON "jobs" USING btree ("workflow_id","id") WHERE workflow_id is not null;--> statement-breakpoint
CREATE INDEX "jobs_owner_queue" ON "jobs" USING btree ("owner","id") WHERE in_queue;--> statement-breakpoint
CREATE INDEX "jobs_owner_history" ON "jobs" USING btree ("owner","id") WHERE status not in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "jobs_owner" ON "jobs" USING btree ("owner","id");--> statement-breakpoint
CREATE INDEX "jobs_owner_name" ON "jobs" USING btree ("owner","name","id");--> statement-breakpoint
CREATE INDEX "jobs_labels" ON "jobs" USING gin ("labels");--> statement-breakpoint
CREATE INDEX "jobs_created" ON "jobs" USING brin ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_temporal_id" ON "jobs" USING btree ("temporal_id");--> statement-breakpoint
CREATE INDEX "jobs_ended" ON "jobs" USING btree ("ended_at") WHERE workflow_id is null and status not in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "jobs_kept_from" ON "jobs" USING btree ("kept_from") WHERE kept_from is not null;--> statement-breakpoint
CREATE INDEX "key_values_sealed" ON "key_values" USING btree ("sealed_with") WHERE sealed_with is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "machines_site_name" ON "machines" USING btree ("site","name");--> statement-breakpoint
CREATE INDEX "notifications_given_up" ON "notifications" USING btree ("changed_at") WHERE state = 'givenUp';--> statement-breakpoint
CREATE INDEX "outputs_key" ON "outputs" USING btree ("object_key");--> statement-breakpoint
CREATE UNIQUE INDEX "placement_requests_attempt" ON "placement_requests" USING btree ("job_id","attempt");--> statement-breakpoint
CREATE INDEX "placement_requests_turn" ON "placement_requests" USING btree ("owner","priority" DESC NULLS FIRST,"id");--> statement-breakpoint
CREATE INDEX "placement_requests_expiry" ON "placement_requests" USING btree ("expires_at") WHERE expires_at is not null;--> statement-breakpoint
CREATE INDEX "placements_machine" ON "placements" USING btree ("machine_id");--> statement-breakpoint
CREATE INDEX "workflow_nodes_name" ON "workflow_nodes" USING btree ("workflow_id","name");--> statement-breakpoint
CREATE INDEX "workflows_ended" ON "workflows" USING btree ("ended_at");--> statement-breakpoint
CREATE INDEX "workflows_rerun_of" ON "workflows" USING btree ("rerun_of") WHERE rerun_of is not null;--> statement-breakpoint
CREATE INDEX "workflows_owner_queue" ON "workflows" USING btree ("owner","id") WHERE in_queue;--> statement-breakpoint
CREATE INDEX "workflows_owner_history" ON "workflows" USING btree ("owner","id") WHERE status not in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "workflows_owner" ON "workflows" USING btree ("owner","id");--> statement-breakpoint
CREATE INDEX "workflows_owner_name" ON "workflows" USING btree ("owner","name","id");--> statement-breakpoint
CREATE INDEX "workflows_labels" ON "workflows" USING gin ("labels");--> statement-breakpoint
CREATE UNIQUE INDEX "workflows_temporal_id" ON "workflows" USING btree ("temporal_id");