/** @module Whether this machine can sandbox, found out without the code under test. */
import { spawnSync } from 'node:child_process'
import process from 'node:process'

/**
 * Says why when it cannot: a suite that is skipped is seen. With `ATRIUM_REQUIRE_ENGINES=1`, as in
 * the build, that is a failure.
 */
export function isSandboxThere(): boolean {
  const args = ['--unshare-pid', '--ro-bind', '/', '/', '--proc', '/proc', '/bin/true']
  const probe = spawnSync('bwrap', args, { encoding: 'utf8' })
  if (probe.status === 0) return true
  const reason = probe.error?.message ?? probe.stderr.trim()
  if (process.env['ATRIUM_REQUIRE_ENGINES'] === '1') {
    throw new Error(`bubblewrap is required and does not work: ${reason}`)
  }
  process.stderr.write(`skipped: bubblewrap does not work here: ${reason}\n`)
  return false
}
