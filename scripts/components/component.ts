/** One part the project needs from outside: how it is recognised, and the ways to obtain it, in the order to try. */
export interface Component {
  name: string;
  /** Completes "needed to ...". */
  purpose: string;
  /** Looks only; quick. A copy that does not work is not found. */
  find(): Promise<Found | undefined>;
  ways: readonly Way[];
  /** How a person can provide it, when no way worked: one sentence. */
  advice: string;
}

export interface Found {
  /** The program, folder or account. */
  path: string;
  /** Where it was found: `PATH`, the variable, `cache`. */
  from: string;
}

export interface Way {
  /** Completes "obtaining NAME by ...". */
  name: string;
  /** What to expect: `about 3 minutes`. */
  takes: string;
  /** Set when only root can do it: the command that a person runs instead. */
  rootCommand?: string;
  /** Why it can't be tried on this machine; undefined when it can. Quick. */
  obstacle(): Promise<string | undefined>;
  /** @throws when it did not work out */
  obtain(): Promise<void>;
}
