#!/bin/sh
# Gives Temporal and us a role and databases of our own in PostgreSQL, neither of which may read the other's. Safe to
# repeat: a new password is set, and what an installation of before holds as the administrator is handed over.
#
# PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE   the administrator's, read by psql itself
# PROMINENCE_DATABASE_PASSWORD                     of the role prominence_service, which owns the database prominence
# TEMPORAL_DATABASE_PASSWORD                       of the role temporal, which owns temporal and temporal_visibility
set -eu

: "${PGHOST:?}" "${PGUSER:?}" "${PGPASSWORD:?}" "${PROMINENCE_DATABASE_PASSWORD:?}" "${TEMPORAL_DATABASE_PASSWORD:?}"
folder=$(dirname "$0")

# ROLE_PASSWORD is read by the statements themselves, so that it is in no process list.
give() {
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set role="$1" --set database="$2" --file "$folder/database-role.sql"
}

ROLE_PASSWORD=$PROMINENCE_DATABASE_PASSWORD
export ROLE_PASSWORD
give prominence_service prominence
ROLE_PASSWORD=$TEMPORAL_DATABASE_PASSWORD
give temporal temporal
give temporal temporal_visibility
