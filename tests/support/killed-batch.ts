/**
 * @module A process that is killed, by nobody but itself, when every name of its batch was given and
 * none of them counts yet. Started by `fork` with the folder and whether to sync as arguments.
 */
import { openSync } from 'node:fs'
import { systemIds } from '@atrium/http-kit/clock'
import { UploadBatch } from '../../apps/workspace-runtime/src/files/upload-batch.ts'

const [folder = '', sync = '0'] = process.argv.slice(2)

const batch = new UploadBatch({
  directory: openSync(folder, 'r'),
  isInPlace: () => process.kill(process.pid, 'SIGKILL'),
  ids: systemIds,
  isFsyncOn: sync === '1',
  live: new Set(),
  onLeftover: (error) => {
    throw error
  },
})
for (const name of ['one.txt', 'two.txt', 'three.txt']) {
  const file = await batch.add({ name, mimeType: undefined })
  await file.append(Buffer.from(name))
}
await batch.commit()
