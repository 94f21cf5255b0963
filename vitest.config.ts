import { defineConfig } from 'vitest/config'

// Deadlines are for what hangs: a busy machine with two cores needs many times what an idle one does.
const shared = {
  environment: 'node',
  restoreMocks: true,
  testTimeout: 60_000,
  hookTimeout: 120_000,
} as const

/**
 * What the official SDKs say aloud of the messages that the oracles send them, thousands of times; all
 * else that is printed is shown.
 */
const EXPECTED_OF_SDKS =
  /^(?:Reference task .* not found\.|toCoreAuthenticationInfo: Lossy conversion from v0\.3 .*|)$/

export default defineConfig({
  test: {
    onConsoleLog: (log) => !log.split('\n').every((line) => EXPECTED_OF_SDKS.test(line)),
    // Tests wait more than they compute: one worker less than there are cores leaves half of two idle.
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: [
            'apps/*/src/**/*.test.ts',
            'packages/*/src/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['tests/integration/**/*.test.ts'],
          globalSetup: ['tests/support/postgres-global-setup.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'contract',
          include: ['tests/contract/**/*.test.ts'],
          globalSetup: ['tests/support/postgres-global-setup.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          globalSetup: ['tests/support/postgres-global-setup.ts'],
          testTimeout: 180_000,
          // Mostly they wait for leases and processes; three at once would wait for the processor.
          maxWorkers: 2,
        },
      },
      {
        // After everything else: it reads what the others have left (scripts/run-tests.ts).
        test: {
          ...shared,
          name: 'audit',
          include: ['tests/audit/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
