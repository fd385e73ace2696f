/** What the token says that a job finds in its environment: it speaks for the job's owner, and for one attempt of the job. */

/** Of every token of ours. No URL, so it can't be that of any identity provider. */
export const tokenIssuer = 'prominence';

export interface JobTokenSubject {
  username: string;
  groups: string[];
  email?: string;
  job: number;
  attempt: number;
}

/** So long a job's token is good after the job's end. */
export const secondsAfterEnd = 3600;
