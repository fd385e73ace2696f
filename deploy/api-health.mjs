/** Health check of the API's container: asks the API itself, which asks the database. */
const port = process.env.PROMINENCE_PORT ?? '8080';
const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(8000) });
if (!answer.ok) {
  console.error(`the API answers ${answer.status}: ${await answer.text()}`);
  process.exitCode = 1;
}
