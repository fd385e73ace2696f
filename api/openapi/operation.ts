/** What a route says of itself. It is given to `resource()` beside the handlers, and the document is made of all of them. */

export type Schema = Record<string, unknown>;

export interface Parameter {
  schema: Schema;
  description?: string;
  required?: true;
}

export interface Answer {
  description: string;
  /** Absent: the answer has no body. */
  schema?: Schema;
  /** Default: application/json */
  type?: string;
  /** What the body is when the request asks for it in another form. */
  otherForm?: { schema: Schema; type: string };
  headers?: Record<string, Parameter>;
}

export interface Operation {
  summary: string;
  description?: string;
  query?: Record<string, Parameter>;
  headers?: Record<string, Parameter>;
  body?: { schema: Schema; type?: string; isOptional?: true };
  answers: Record<number, Answer>;
  /** Statuses of its own refusals. Those that every guarded route has are added. */
  refusals?: readonly number[];
  /** Needs no token. */
  isOpen?: true;
}

/** As it was registered: with a path of the router, and what is not documented yet left out. */
export interface RegisteredRoute {
  method: string;
  path: string;
  isGuarded: boolean;
  operation: Operation | undefined;
  /** What tokens of jobs may do by it; undefined: nothing. */
  jobToken: 'reads' | 'submits' | 'changes' | undefined;
}
