/** What operators can search by in the Temporal UI. Never secrets: search attributes are not encrypted. */
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';

export const searchAttributes = {
  JobId: defineSearchAttributeKey('JobId', SearchAttributeType.INT),
  Owner: defineSearchAttributeKey('Owner', SearchAttributeType.KEYWORD),
  Labels: defineSearchAttributeKey('Labels', SearchAttributeType.KEYWORD_LIST),
};

/** SQL visibility holds 255 characters of a keyword. */
const maximumLength = 255;

interface Subject {
  id: number;
  owner: string;
  labels: Record<string, string>;
}

export function jobSearchAttributes(job: Subject): SearchAttributePair[] {
  return [{ key: searchAttributes.JobId, value: job.id }, ...workflowSearchAttributes(job)];
}

export function workflowSearchAttributes(workflow: Omit<Subject, 'id'>): SearchAttributePair[] {
  const labels = Object.entries(workflow.labels).map(([name, value]) => `${name}=${value}`.slice(0, maximumLength));
  return [
    { key: searchAttributes.Owner, value: workflow.owner.slice(0, maximumLength) },
    ...(labels.length > 0 ? [{ key: searchAttributes.Labels, value: labels }] : []),
  ];
}
