import { defineConfig } from 'vitest/config';

/** One file at a time: they share a testbed of network namespaces, look at all that runs here, or want the whole machine. */
const exclusive = [
  'test/integration/{hosts,jobs}/ssh*.test.ts',
  ...(process.env['PROMINENCE_TEST_SCALE'] === 'full' ? ['test/integration/scale/*.test.ts'] : []),
];

const withRealParts = {
  testTimeout: 300_000,
  hookTimeout: 180_000,
  globalSetup: ['test/ground/prepare.ts'],
  setupFiles: ['test/ground/fresh-connections.ts'],
};

/**
 * Unit tests sit beside their files and touch nothing outside the process (replay included); test/integration uses real
 * components. Each file of those has a stack of its own, so that two run side by side: they wait more than they work.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          // They leave nothing behind for each other, so one process serves them all: half the time.
          isolate: false,
          // Properties try hundreds of documents; a busy machine may take a while.
          testTimeout: 30_000,
          include: [
            'test/replay/*.test.ts',
            '{domain,descriptions,config,api,db,hosts,notifications,outbound,secrets,service,storage,temporal,scheduler,workflows,activities,cli,scripts}/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: exclusive,
          ...withRealParts,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'exclusive',
          include: exclusive,
          ...withRealParts,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
