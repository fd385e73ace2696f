/**
 * Problems of a description, in the order in which upstream would have met them: clients see the first one only, so
 * its words are part of the wire contract (spec.md 2). What upstream let pass and we refuse comes after all of those.
 */
export interface Issue {
  /** Where in the document: `tasks[0].image`; '' for the document itself. */
  path: string;
  message: string;
}

export interface IssueList {
  add(path: string, message: string): void;
  /** A rule of ours, about something upstream accepted. */
  addBeyondUpstream(path: string, message: string): void;
  ordered(): Issue[];
}

/** A document can be wrong in a million places; nobody reads that many. */
const mostIssues = 100;

export function issueList(): IssueList {
  const upstream: Issue[] = [];
  const beyond: Issue[] = [];
  const push = (list: Issue[]) => (path: string, message: string) => {
    if (list.length < mostIssues) list.push({ path, message });
  };
  return {
    add: push(upstream),
    addBeyondUpstream: push(beyond),
    ordered: () => [...upstream, ...beyond].slice(0, mostIssues),
  };
}
