import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { systemIds } from '@atrium/http-kit/clock'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { multipartForm } from '../../support/multipart-form.ts'
import { begin, readAnswer } from '../../support/raw-client.ts'
import { expectRefusal, runtime } from '../../support/shared-runtime.ts'
import { filesOf, shareUploadRuntime, upload, withRuntime } from '../../support/upload-runtime.ts'

const MIB = 1024 ** 2

shareUploadRuntime()

describe('POST /internal/chat/uploads/ingest: on disk', () => {
  it('stores files that only the group may read, in a folder that only it may enter', async () => {
    const [file] = filesOf(await upload([{ filename: 'run.sh', content: '#!/bin/sh' }]))
    const path = runtime.local(file?.uri.replace('workspace:', '') ?? '')
    expect((statSync(path).mode & 0o7777).toString(8)).toBe('640')
    expect(statSync(path).nlink).toBe(1)
    const folder = statSync(runtime.local(UPLOADS_DIR))
    expect(folder.mode & 0o7777 & ~0o750).toBe(0)
  })

  it('shows nothing but a hidden temporary of its own until everything was received', async () => {
    const { headers, body } = multipartForm([{ filename: 'a.bin', content: randomBytes(2 * MIB) }])
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
    })
    request.write(body.subarray(0, -10))
    await eventually(() => runtime.stored().length === 1)
    const [name = ''] = runtime.stored()
    expect(name).toMatch(/^\.up-[0-9a-f]{24}\.part$/)
    const stat = statSync(join(runtime.local(UPLOADS_DIR), name))
    expect((stat.mode & 0o7777).toString(8)).toBe('600')
    expect((await runtime.read(`${UPLOADS_DIR}/${name}`)).status).toBe(404)
    request.end(body.subarray(-10))
    const [response] = await once(request, 'response')
    expect(filesOf(await readAnswer(response))).toHaveLength(1)
    expect(runtime.stored()).toHaveLength(1)
    expect(runtime.stored()[0]).toMatch(/^[0-9a-f]{32}-a\.bin$/)
  })

  it('leaves the victim of a planted symlink alone and takes the next name', async () => {
    const planned = ['1'.repeat(32), '1'.repeat(32), '2'.repeat(32)]
    const ids = {
      ...systemIds,
      hex: (bytes: number) => (bytes === 16 ? (planned.shift() ?? '') : systemIds.hex(bytes)),
    }
    await withRuntime({ ids }, async (own) => {
      const victim = own.place('/outside/victim.txt', 'untouched')
      mkdirSync(own.local(UPLOADS_DIR), { recursive: true })
      symlinkSync(victim, join(own.local(UPLOADS_DIR), `${'1'.repeat(32)}-a.txt`))
      const [file] = filesOf(await upload([{ filename: 'a.txt', content: 'new' }], own))
      expect(file?.uri).toContain(`/${'2'.repeat(32)}-a.txt`)
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
    })
  })

  it('answers a name that stays taken with a retry, and leaves nothing', async () => {
    const ids = {
      ...systemIds,
      hex: (bytes: number) => (bytes === 16 ? '1'.repeat(32) : systemIds.hex(bytes)),
    }
    await withRuntime({ ids }, async (own) => {
      const folder = own.local(UPLOADS_DIR)
      mkdirSync(folder, { recursive: true })
      // A dangling link: whoever creates through it makes a file in /configs.
      symlinkSync(own.local('/configs/made'), join(folder, `${'1'.repeat(32)}-b.txt`))
      const answer = await upload(
        [
          { filename: 'a.txt', content: 'published first' },
          { filename: 'b.txt', content: 'taken' },
        ],
        own,
      )
      expectRefusal(answer, 500, 'internal collision; retry', 'upload_collision')
      expect(own.stored()).toEqual([`${'1'.repeat(32)}-b.txt`])
      expect(existsSync(own.local('/configs/made'))).toBe(false)
    })
  })

  it.each([
    ['a file', (path: string) => writeFileSync(path, '')],
    ['a link to a folder', (path: string) => symlinkSync(runtime.local('/configs'), path)],
    ['a dangling link', (path: string) => symlinkSync(runtime.local('/configs/new'), path)],
  ])('does not store through %s in the place of its folder', async (_, plant) => {
    for (const place of ['/workspace/.molecule', UPLOADS_DIR]) {
      rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
      mkdirSync(join(runtime.local(place), '..'), { recursive: true })
      plant(runtime.local(place))
      const before = readdirSync(runtime.local('/configs'))
      const answer = await upload([{ filename: 'a.txt', content: 'x' }])
      expectRefusal(answer, 500, 'failed to prepare uploads dir', 'uploads_dir_failed')
      expect(readdirSync(runtime.local('/configs'))).toEqual(before)
    }
  })

  it('does not claim to have stored into a folder that was moved away meanwhile', async () => {
    for (const moved of ['/workspace/.molecule', UPLOADS_DIR]) {
      rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
      const aside = runtime.local('/workspace/aside')
      const { headers, body } = multipartForm([{ filename: 'a.txt', content: 'x'.repeat(1000) }])
      const request = begin(runtime.ingestUrl(), {
        method: 'POST',
        headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
      })
      request.write(body.subarray(0, 500))
      await eventually(() => runtime.stored().length === 1)
      renameSync(runtime.local(moved), aside)
      symlinkSync(aside, runtime.local(moved))
      request.end(body.subarray(500))
      const [response] = await once(request, 'response')
      const answer = await readAnswer(response)
      expectRefusal(answer, 500, 'failed to write file', 'upload_write_failed')
      const left = readdirSync(aside, { recursive: true, encoding: 'utf8' })
      expect(left.filter((name) => name.endsWith('a.txt') || name.endsWith('.part'))).toEqual([])
      rmSync(runtime.local(moved))
      rmSync(aside, { recursive: true })
    }
  })

  it('publishes nothing that was put in the place of its temporary', async () => {
    const { headers, body } = multipartForm([{ filename: 'a.txt', content: 'x'.repeat(1000) }])
    const request = begin(runtime.ingestUrl(), {
      method: 'POST',
      headers: { authorization: `Bearer ${runtime.secret}`, ...headers },
    })
    request.write(body.subarray(0, 500))
    await eventually(() => runtime.stored().length === 1)
    const temporary = join(runtime.local(UPLOADS_DIR), runtime.stored()[0] ?? '')
    rmSync(temporary)
    linkSync(runtime.place('/outside/other.txt', 'other'), temporary)
    request.end(body.subarray(500))
    const [response] = await once(request, 'response')
    const answer = await readAnswer(response)
    expectRefusal(answer, 500, 'failed to write file', 'upload_write_failed')
    expect(runtime.stored()).toEqual([])
  })

  it('needs a workspace to store into', async () => {
    await withRuntime({ absentRoots: ['workspace'] }, async (own) => {
      const answer = await upload([{ filename: 'a.txt', content: 'x' }], own)
      expectRefusal(answer, 500, 'failed to prepare uploads dir', 'uploads_dir_failed')
    })
  })

  it('does without fsync when it is told so', async () => {
    await withRuntime({ isFsyncOn: false }, async (own) => {
      expect(filesOf(await upload([{ filename: 'a', content: 'x' }], own))).toHaveLength(1)
    })
  })
})
