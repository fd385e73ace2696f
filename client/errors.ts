/** Why a request did not work out. */

/** The server answered, and said no. */
export class ApiRefused extends Error {
  override readonly name = 'ApiRefused';
  readonly status: number;

  constructor(request: string, status: number, reason: string) {
    super(`${request}: ${reason} (${status})`);
    this.status = status;
  }
}

/** No answer from the server. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable';
}
