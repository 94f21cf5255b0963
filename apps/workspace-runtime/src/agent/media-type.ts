/** @module The media type of a file by its name, as messages and uploads say it: without parameters. */
import { passiveTypeFor } from '@atrium/http-kit/file-response'

/** `text/csv` and the like; unknown and active types are `application/octet-stream`. */
export function mediaTypeFor(name: string): string {
  return passiveTypeFor(name)?.split(';', 1)[0] ?? 'application/octet-stream'
}
