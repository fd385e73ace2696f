/** `npm run setup [-- --tests]`: makes sure of every part the project needs from outside. Repeating it costs a moment. */
import { setUp } from './components/setup.ts';
import { thisMachine } from './machine.ts';

const forTests = process.argv.includes('--tests');
const { missing, missingForTests } = await setUp(thisMachine(), { forTests, say: (line) => console.log(line) });

// What could not be had was told where it was looked for.
if (missing.length + missingForTests.length > 0) process.exitCode = 1;
else console.log(forTests ? 'Everything is there: npm test' : 'Everything is there: npm run quickstart, or npm start');
