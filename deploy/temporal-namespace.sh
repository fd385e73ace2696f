#!/bin/sh
# Makes our namespace and its search attributes once the Temporal server answers. Safe to repeat.
#
# TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE   read by the temporal command itself
# TEMPORAL_RETENTION                     how long the history of finished workflows is kept (default 72h)
set -eu

: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}"
export TEMPORAL_ADDRESS TEMPORAL_NAMESPACE
retention=${TEMPORAL_RETENTION:-72h}

# At most: the first start of a server with 512 shards on a slow disk takes a while.
patience=120

# Runs a command until it succeeds: after the server's start, and after the namespace's creation until each of its
# services has heard of it.
eventually() {
  waited=0
  until "$@" >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -ge "$patience" ]; then
      echo "gave up after $patience s: $*" >&2
      "$@"
      exit 1
    fi
    sleep 1
  done
}

has_attribute() {
  temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -Eq "^[[:space:]]*$1[[:space:]]"
}

# Another one of us may be faster, so what counts is that the attribute is there.
add_attribute() {
  has_attribute "$1" ||
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$1" --type "$2" ||
    has_attribute "$1"
}

eventually temporal operator cluster health
if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$retention"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$retention"
fi
eventually temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"
eventually add_attribute JobId Int
eventually add_attribute Owner Keyword
eventually add_attribute Labels KeywordList
