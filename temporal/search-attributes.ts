/** What operators can search by in the Temporal UI. Never secrets: search attributes are not encrypted. */
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';

export const searchAttributes = {
  JobId: defineSearchAttributeKey('JobId', SearchAttributeType.INT),
  Owner: defineSearchAttributeKey('Owner', SearchAttributeType.KEYWORD),
  Labels: defineSearchAttributeKey('Labels', SearchAttributeType.KEYWORD_LIST),
};

/** SQL visibility holds 255 characters of a keyword. */
const maximumLength = 255;

/** The server refuses larger values, as JSON (`frontend.searchAttributesSizeOfValueLimit`); some room is left. */
const maximumListBytes = 2000;

interface Subject {
  id: number;
  owner: string;
  labels: Record<string, string>;
}

export function jobSearchAttributes(job: Subject): SearchAttributePair[] {
  return [{ key: searchAttributes.JobId, value: job.id }, ...workflowSearchAttributes(job)];
}

export function workflowSearchAttributes(workflow: Omit<Subject, 'id'>): SearchAttributePair[] {
  const labels = searchableLabels(workflow.labels);
  return [
    { key: searchAttributes.Owner, value: workflow.owner.slice(0, maximumLength) },
    ...(labels.length > 0 ? [{ key: searchAttributes.Labels, value: labels }] : []),
  ];
}

/** As many as there is room for: the others are found through the API only. */
function searchableLabels(labels: Record<string, string>): string[] {
  const kept: string[] = [];
  let bytesLeft = maximumListBytes - 2;
  for (const [name, value] of Object.entries(labels)) {
    const label = `${name}=${value}`.slice(0, maximumLength);
    bytesLeft -= new TextEncoder().encode(JSON.stringify(label)).length + 1;
    if (bytesLeft < 0) break;
    kept.push(label);
  }
  return kept;
}
