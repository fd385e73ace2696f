/**
 * Problems of a description, in the order in which upstream would have met them: clients see the first one only, so
 * its words are part of the wire contract (docs/wire.md 3.1). What upstream let pass and we refuse comes after all of
 * those. The answer must stay small whatever the document is: one long name can be in many problems.
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
const mostCharacters = 40_000;

export function issueList(): IssueList {
  const upstream: Issue[] = [];
  const beyond: Issue[] = [];
  const into = (list: Issue[]) => {
    let room = mostCharacters;
    return (path: string, message: string) => {
      if (list.length === mostIssues || room <= 0) return;
      const issue = { path: printable(shortened(path)), message: printable(shortened(message)) };
      room -= issue.path.length + issue.message.length;
      list.push(issue);
    };
  };
  return {
    add: into(upstream),
    addBeyondUpstream: into(beyond),
    ordered: () => [...upstream, ...beyond].slice(0, mostIssues),
  };
}

/** No message of the contract is longer, as long as the names in it have the lengths that are allowed. */
const longestText = 2000;

/** What is told of a text. One that may be told often is shortened before it becomes part of a message: copies take time. */
export function shortened(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}...` : text;
}

/** Clients in Python die on half characters. */
const printable = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd');
