#!/bin/sh
# Brings the tables of Temporal's two databases, which database-roles.sh makes, up to the version of temporal-sql-tool,
# which carries the definitions. Safe to repeat: what is there stays, and an upgrade of Temporal runs it again before the
# new server.
#
# SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD   PostgreSQL, by the role that owns the databases
set -eu

: "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"
# The tool reads all of these itself, so that the password is in no process list.
export SQL_HOST SQL_PORT SQL_USER SQL_PASSWORD SQL_PLUGIN=postgres12_pgx

bring_up() {
  export SQL_DATABASE="$1"
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-name "postgresql/v12/$2"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
