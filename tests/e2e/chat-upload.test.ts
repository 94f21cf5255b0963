import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PlatformProcess, PROJECT_ROOT, startPlatform } from '../support/platform-process.ts'
import { type ProcessResult, runProcess } from '../support/run-process.ts'
import {
  readBody,
  type StandInExchange,
  sendJson,
  startStandInPlatform,
} from '../support/stand-in-platform.ts'

const SCRIPT = join(PROJECT_ROOT, 'tests/e2e/chat-upload.sh')

function runScript(env: Readonly<Record<string, string>>): Promise<ProcessResult> {
  const settings = { WORKSPACE_RUNTIME: 'echo', POLL_SECONDS: '0.2' }
  return runProcess('bash', [SCRIPT], { env: { ...settings, ...env } })
}

describe('chat-upload.sh against a real platform', () => {
  let platform: PlatformProcess
  beforeAll(async () => {
    platform = await startPlatform()
  })
  afterAll(async () => {
    await platform?.stop()
  })

  it('passes, and removes the workspace that it made', async () => {
    const run = await runScript({ BASE: platform.url })
    expect(run.stderr).toBe('')
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toMatch(/PASS\n$/)
    const rows = await (await fetch(`${platform.url}/workspaces`)).json()
    expect(rows).toEqual([])
  })
})

describe('chat-upload.sh against a platform with an admin token', () => {
  const adminToken = 'admin-token-of-the-chat-upload-test'
  let platform: PlatformProcess
  beforeAll(async () => {
    platform = await startPlatform({ env: { ADMIN_TOKEN: adminToken } })
  })
  afterAll(async () => {
    await platform?.stop()
  })

  it('passes with the token and ends with 1 without it', async () => {
    const run = await runScript({ BASE: platform.url, ADMIN_TOKEN: adminToken })
    expect([run.stderr, run.exitCode]).toEqual(['', 0])
    expect((await runScript({ BASE: platform.url })).exitCode).toBe(1)
  })
})

type Fault = 'upload' | 'bytes' | 'open'

/** The content of the first part of a multipart body. */
function firstPart(body: Buffer): Buffer {
  const from = body.indexOf('\r\n\r\n') + 4
  return body.subarray(from, body.indexOf('\r\n--', from))
}

/** A platform that is right in everything but in one thing. */
function startAlmostRight(fault: Fault) {
  let stored: Buffer = Buffer.alloc(0)
  const upload = ({ request, response }: StandInExchange, body: Buffer): void => {
    if (request.headers.authorization === undefined && fault !== 'open') {
      sendJson(response, {}, 401)
      return
    }
    stored = firstPart(body)
    const size = fault === 'upload' ? stored.length + 1 : stored.length
    const file = { uri: 'workspace:/workspace/g', name: 'greeting.txt', size }
    sendJson(response, { files: [file] })
  }
  return startStandInPlatform(async (exchange) => {
    const { request, response, line } = exchange
    const body = await readBody(request)
    switch (line.split('/').at(-1)) {
      case 'test-token':
        return sendJson(response, { auth_token: 'token-of-the-almost-right' })
      case 'download':
        response.end(fault === 'bytes' ? stored.toReversed() : stored)
        return
      case 'uploads':
        return upload(exchange, body)
      default:
        return sendJson(response, { id: 'w1', status: 'online' })
    }
  })
}

describe('chat-upload.sh against what is wrong', () => {
  it.each([
    ['upload', 2],
    ['bytes', 3],
    ['open', 2],
  ] as const)('sees a wrong %s and ends with %i', async (wrong, exitCode) => {
    const server = await startAlmostRight(wrong)
    try {
      expect((await runScript({ BASE: server.url })).exitCode).toBe(exitCode)
    } finally {
      await server.close()
    }
  })

  it('ends with 1 and says so when curl is missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atrium-no-curl-'))
    try {
      for (const tool of ['node', 'mktemp', 'rm']) {
        const { stdout } = await runProcess('sh', ['-c', `command -v ${tool}`])
        await symlink(stdout.trim(), join(folder, tool))
      }
      const run = await runProcess('/bin/bash', [SCRIPT], { env: { PATH: folder } })
      expect([run.exitCode, run.stderr]).toEqual([1, 'FAIL  curl is missing\n'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('ends with 1 when nobody answers', async () => {
    const server = await startAlmostRight('upload')
    await server.close()
    expect((await runScript({ BASE: server.url })).exitCode).toBe(1)
  })
})
