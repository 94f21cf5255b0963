import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from './cli-harness.ts'
import { files, here, serveRoute } from './files-scene.ts'
import { endServedPlatforms } from './served-platform.ts'

endServedPlatforms()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await folder.remove()
})

const tar = (...args: readonly string[]) => files(['tar', ...args], { cwd: folder.path })
const listing = async () => (await readdir(folder.path)).toSorted()

describe('atrium files tar', () => {
  it.each([
    [[], 'tar', 'reports.tar'],
    [['--format', 'zip'], 'zip', 'reports.zip'],
    [['-o', 'x.TGZ'], 'tar.gz', 'x.TGZ'],
    [['-o', 'x.zip'], 'zip', 'x.zip'],
    [['-o', 'x.zip', '--format', 'tar'], 'tar', 'x.zip'],
    [['-o', 'x'], 'tar', 'x'],
  ])('with %j asks for %s and saves %s', async (args, format, name) => {
    const queries = await serveRoute('files/archive', ({ response }) => {
      response.write('archive ')
      response.end('of a folder')
    })
    expect((await tar(here('reports/'), ...args)).exitCode).toBe(0)
    expect(queries).toEqual([{ path: '/workspace/reports', format }])
    expect(await listing()).toEqual([name])
    expect(await readFile(join(folder.path, name), 'utf8')).toBe('archive of a folder')
  })

  it.each([
    ['a file', []],
    ['standard output', ['-o', '-']],
  ])('ends with 1 and asks once when an archive for %s breaks', async (_what, args) => {
    const queries = await serveRoute('files/archive', ({ response }) => {
      response.write(Buffer.alloc(100_000), () => response.destroy())
    })
    const run = await tar(here(), ...args)
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('the archive is not whole')
    expect(run.stderr).toContain('`atrium workspaces logs` says why: a limit')
    expect(await listing()).toEqual([])
    expect(queries).toHaveLength(1)
  })

  it('is interrupted as any other command is', async () => {
    const interrupt = new AbortController()
    await serveRoute('files/archive', ({ response }) => {
      response.write('half of it', () => setImmediate(() => interrupt.abort()))
    })
    const { signal } = interrupt
    const run = await files(['tar', here()], { cwd: folder.path, signal })
    expect([run.exitCode, await listing()]).toEqual([130, []])
  })

  it('trusts no answer whose end could be anywhere', async () => {
    await serveRoute('files/archive', ({ response }) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf of it')
    })
    const run = await tar(here())
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('takes the end off the archive')
    expect(await listing()).toEqual([])
  })

  it('goes through a pipe, and not onto a terminal', async () => {
    await serveRoute('files/archive', ({ response }) => {
      response.write('half ')
      response.end('and half')
    })
    expect((await tar(here(), '-o', '-')).stdout).toBe('half and half')
    const shown = await files(['tar', here(), '-o', '-'], { isTTY: true })
    expect([shown.exitCode, shown.stdout]).toEqual([2, ''])
    const watched = await files(['tar', here()], { isTTY: true, cwd: folder.path })
    expect(watched.exitCode).toBe(0)
    expect(watched.stderr).toContain('13 B')
  })

  it('wants a format that there is', async () => {
    expect((await tar(here(), '--format', 'rar')).exitCode).toBe(2)
  })
})
