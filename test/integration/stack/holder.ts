/** A process that runs PostgreSQL as a stack on the home it is given, until it is killed. */
import { startStack } from '../../../scripts/stack/stack.ts';

const stack = await startStack({ home: process.argv[2] ?? '', children: ['postgres'] });
console.log(stack.databaseUrl);
setInterval(() => undefined, 60_000);
