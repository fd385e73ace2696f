/**
 * How large the workflows of these tests are. A CI run has the small sizes; `npm run test:scale` runs the same tests with
 * the large ones.
 */
const small = { sweep: 400, dagSteps: 60, submit: 3000, killed: 48, randomDags: 12 };
const full: typeof small = { sweep: 10_000, dagSteps: 500, submit: 100_000, killed: 2000, randomDags: 60 };

export const isFull = process.env['PROMINENCE_TEST_SCALE'] === 'full';
export const sizes = isFull ? full : small;

/** Seconds to wait for so many jobs, with a wide margin for a busy machine. */
export const patience = (jobs: number): number => 120 + jobs / 2;
