import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { FORMER_INBOUND_SECRET_FILE, INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import { beforeAll, describe, expect, it } from 'vitest'
import { tryMount } from '../../support/mounts.ts'
import { TEXTS } from '../../support/read-runtime.ts'
import { startRuntimeHarness } from '../../support/runtime-harness.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

describe('GET /internal/file/read: what lies there', () => {
  const SECRET_TEXT = 'outside and not to be read'
  let outside: string

  beforeAll(() => {
    outside = runtime.place('/outside/secret.txt', SECRET_TEXT)
  })

  it.each([
    ['a folder', () => mkdirSync(runtime.local('/workspace/kind/folder'), { recursive: true })],
    ['fifo', () => execFileSync('mkfifo', [runtime.local('/workspace/kind/fifo')])],
  ])('refuses %s without waiting for anybody to write', async (name, make) => {
    mkdirSync(runtime.local('/workspace/kind'), { recursive: true })
    make()
    const answer = await runtime.read(`/workspace/kind/${name.replace('a ', '')}`)
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
  })

  it('refuses a socket and stays responsive with many FIFOs asked for', async () => {
    mkdirSync(runtime.local('/workspace/many'), { recursive: true })
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(runtime.local('/workspace/many/socket'), resolve)
    })
    const names = Array.from({ length: 16 }, (_, index) => `fifo${index}`)
    for (const name of names) execFileSync('mkfifo', [runtime.local(`/workspace/many/${name}`)])
    runtime.place('/workspace/many/plain.txt', 'still served')
    const fifos = names.map((name) => runtime.read(`/workspace/many/${name}`))
    const plain = await runtime.read('/workspace/many/plain.txt')
    expect(plain.body.toString()).toBe('still served')
    for (const answer of await Promise.all(fifos)) expect(answer.status).toBe(400)
    const answer = await runtime.read('/workspace/many/socket')
    expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
    await once(server.close(), 'close')
  })

  it('refuses a symlink in the last place, wherever it leads', async () => {
    mkdirSync(runtime.local('/workspace/links'), { recursive: true })
    runtime.place('/workspace/links/target.txt')
    for (const [name, target] of [
      ['absolute', '/etc/passwd'],
      ['outside', outside],
      ['inside', 'target.txt'],
      ['dangling', 'nowhere'],
      ['loop', 'loop'],
    ] as const) {
      symlinkSync(target, runtime.local(`/workspace/links/${name}`))
      const answer = await runtime.read(`/workspace/links/${name}`)
      expectRefusal(answer, 400, TEXTS.notRegular, 'not_a_regular_file')
    }
  })

  it('never goes through a symlinked folder, not even one that stays inside', async () => {
    runtime.place('/workspace/real/file.txt', 'inside')
    symlinkSync('/etc', runtime.local('/workspace/to-etc'))
    symlinkSync(runtime.local('/outside'), runtime.local('/workspace/to-outside'))
    symlinkSync('real', runtime.local('/workspace/to-real'))
    for (const path of ['to-etc/passwd', 'to-outside/secret.txt', 'to-real/file.txt']) {
      const answer = await runtime.read(`/workspace/${path}`)
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
    }
  })

  it('refuses a hard link below /configs and allows it in the workspace', async () => {
    linkSync(outside, runtime.local('/configs/linked.txt'))
    linkSync(outside, runtime.local('/workspace/linked.txt'))
    const refused = await runtime.read('/configs/linked.txt')
    expectRefusal(refused, 403, 'file is not readable', 'file_forbidden')
    expect((await runtime.read('/workspace/linked.txt')).status).toBe(200)
  })

  it.each([
    '/configs/.platform_inbound_secret',
    '/configs/.auth_token',
    '/configs/.auth-token',
    '/configs/.PLATFORM_INBOUND_SECRET',
    '/configs/.platform_inbound_secret.tmp',
    `/configs/${FORMER_INBOUND_SECRET_FILE}`,
    '/configs/.auth_token~',
  ])('answers as if %s did not exist', async (path) => {
    runtime.place('/configs/.auth_token', 'token')
    runtime.place('/configs/.auth_token~', 'token')
    runtime.place('/configs/.auth-token', 'token')
    runtime.place('/configs/.platform_inbound_secret.tmp', 'token')
    runtime.place(`/configs/${FORMER_INBOUND_SECRET_FILE}`, 'token')
    expectRefusal(await runtime.read(path), 404, TEXTS.notFound, 'file_not_found')
  })

  it.each([INBOUND_SECRET_FILE, FORMER_INBOUND_SECRET_FILE])(
    'refuses %s through a hard link of another name',
    async (name) => {
      if (name === FORMER_INBOUND_SECRET_FILE) runtime.place(`/configs/${name}`, 'token')
      linkSync(runtime.local(`/configs/${name}`), runtime.local('/workspace/s.txt'))
      const answer = await runtime.read('/workspace/s.txt')
      expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
      rmSync(runtime.local('/workspace/s.txt'))
    },
  )

  it('refuses the credentials through a mount of their folder or of themselves', async ({
    skip,
  }) => {
    const secret = runtime.local(`/configs/${INBOUND_SECRET_FILE}`)
    mkdirSync(runtime.local('/workspace/bound'))
    runtime.place('/workspace/bound.txt')
    runtime.place('/configs/bound.yaml', 'no secret')
    const unmounts = [
      tryMount(['--bind'], runtime.local('/configs'), runtime.local('/workspace/bound')),
      tryMount(['--bind'], secret, runtime.local('/workspace/bound.txt')),
    ]
    try {
      if (unmounts.includes(undefined)) return skip('bind mounts are not allowed here')
      expect((await runtime.read('/workspace/bound/bound.yaml')).body.toString()).toBe('no secret')
      for (const path of [`/workspace/bound/${INBOUND_SECRET_FILE}`, '/workspace/bound.txt']) {
        expectRefusal(await runtime.read(path), 404, TEXTS.notFound, 'file_not_found')
      }
    } finally {
      for (const unmount of unmounts) unmount?.()
    }
  })

  it('refuses the credentials where the operator moved them below another root', async () => {
    const moved = await startRuntimeHarness()
    const again = await startRuntimeHarness({
      base: moved.local('/'),
      credentialsDirectory: moved.local('/home/credentials'),
    })
    try {
      again.place('/home/credentials/.auth_token', 'token')
      again.place('/home/credentials/readme.txt', 'readme')
      expect((await again.read('/home/credentials/.auth_token')).status).toBe(404)
      expect((await again.read('/home/credentials/readme.txt')).status).toBe(200)
    } finally {
      await again.stop()
      await moved.stop()
    }
  })

  it.each(['part', 'list'])('does not show an upload that is not finished: .%s', async (kind) => {
    const name = `.up-${'0'.repeat(24)}.${kind}`
    runtime.place(`/workspace/.molecule/chat-uploads/${name}`)
    const answer = await runtime.read(`/workspace/.molecule/chat-uploads/${name}`)
    expectRefusal(answer, 404, TEXTS.notFound, 'file_not_found')
  })
})
