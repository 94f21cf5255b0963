/** @module A file of a running container, replaced so that its readers see the old or the new one whole. */
import type { Container } from 'dockerode'
import { putFiles } from './box-archive.ts'
import { VOLUME_PLACES } from './box-names.ts'
import { BOX_USER } from './container-spec.ts'

const POLL_LIMIT = 100

export type Replacement = {
  readonly name: string
  readonly content: string
  /** Makes the temporary name one of its own. */
  readonly unique: string
}

/**
 * Replaces a file of mode 0600 in `/configs`. The engine itself removes a file before it writes one of
 * the same name, so it writes another and the container renames it, with the rights of the runtime.
 */
export async function replaceFile(
  container: Container,
  { name, content, unique }: Replacement,
): Promise<void> {
  // Starts with the credential's name: whatever hides the one hides the other (path-safety).
  const temporary = `${name}.${unique}.tmp`
  const files = [{ path: temporary, content, mode: 0o600 }]
  await putFiles(container, VOLUME_PLACES.configs, { files })
  const inside = (each: string): string => `${VOLUME_PLACES.configs}/${each}`
  const exec = await container.exec({
    Cmd: ['/bin/mv', '-f', inside(temporary), inside(name)],
    User: `${BOX_USER.uid}:${BOX_USER.gid}`,
    AttachStdout: true,
    AttachStderr: true,
  })
  const output = await exec.start({})
  for await (const _piece of output) {
    // Nothing of it is of interest, but only its end tells that the command has ended.
  }
  for (let look = 0; look < POLL_LIMIT; look += 1) {
    const { Running, ExitCode } = await exec.inspect()
    if (Running) continue
    if (ExitCode === 0) return
    throw new Error(`a credential could not be put in place: exit code ${ExitCode}`)
  }
  throw new Error('a credential could not be put in place: its command does not end')
}
