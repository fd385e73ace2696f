#!/usr/bin/env node
// The command's sources are TypeScript: tsx teaches Node to read them, then the real start is cli/main.ts.
import { register } from 'tsx/esm/api';

register();
await import('../cli/main.ts');
