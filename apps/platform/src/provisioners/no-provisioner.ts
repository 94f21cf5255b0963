/** @module The absence of a back-end, as an object (H38): truly null, never a crash (contract/platform 7.4). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Provisioner } from './provisioner.ts'

/**
 * Starts nothing (`provisioner_unavailable`), so nothing runs, nothing is stored, and there is
 * nothing to end: `stop` and `removeVolume` succeed, `isRunning` is false, the console is empty, a
 * secret finds no place, and no box ever ends unexpectedly.
 */
export function createNoProvisioner(): Provisioner {
  return {
    name: 'none',
    open: async () => undefined,
    start: async () => {
      throw new AppError('provisioner_unavailable')
    },
    stop: async () => undefined,
    isRunning: async () => false,
    removeVolume: async () => undefined,
    writeInboundSecret: async () => false,
    readConsole: async () => '',
    onUnexpectedExit: () => undefined,
    close: async () => undefined,
  }
}
