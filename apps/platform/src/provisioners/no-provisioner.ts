/** @module The absence of a back-end, as an object (H38): truly null, never a crash (contract/platform 7.4). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Provisioner } from './provisioner.ts'

/** Whatever is asked of it: `provisioner_unavailable`. Only opening and closing mean nothing. */
export function createNoProvisioner(): Provisioner {
  const absent = async (): Promise<never> => {
    throw new AppError('provisioner_unavailable')
  }
  return {
    name: 'none',
    hostId: null,
    open: async () => undefined,
    start: absent,
    stop: absent,
    isRunning: absent,
    execRead: absent,
    volumeHasFile: absent,
    removeVolume: absent,
    writeAuthToken: absent,
    writeInboundSecret: absent,
    readConsole: absent,
    listBoxes: absent,
    onUnexpectedExit: () => undefined,
    close: async () => undefined,
  }
}
