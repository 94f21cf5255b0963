/**
 * Every error that the contract names for files (contract/platform 6.1 to 6.3, contract/runtime 2.2
 * and 3.1), in its exact words, over the real platform and the real runtime.
 *
 * Not here, because nobody can bring them about from outside: `failed to read workspace secret` and a
 * failing mint (tests/integration/platform/chat-files.test.ts); `stat failed`, `internal collision;
 * retry`, `failed to write file` and a full disk (tests/integration/runtime).
 */
import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { expectFailure } from '../support/expect-failure.ts'
import { BOUNDARY, form, postForm } from '../support/form-body.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { answerTo } from '../support/piecewise-request.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { type Answer, begin, type Sending, send } from '../support/raw-client.ts'
import { runProcess } from '../support/run-process.ts'

const MIB = 1024 ** 2
const UNKNOWN = '00000000-0000-4000-8000-000000000000'
const OUTSIDE = 'path must be under /configs, /workspace, /home, or /plugins'

let platform: PlatformProcess
let workspace: OnlineWorkspace

beforeAll(async () => {
  platform = await startPlatform()
  workspace = await OnlineWorkspace.create(platform, 'errors')
  await layOut(workspace.dir)
})
afterAll(async () => {
  await platform.stop()
})

/** What an agent could put into its own workspace. */
async function layOut(dir: string): Promise<void> {
  writeFileSync(join(dir, 'workspace/a.txt'), 'hello')
  mkdirSync(join(dir, 'workspace/folder'))
  symlinkSync('/etc/passwd', join(dir, 'workspace/link'))
  symlinkSync('/etc', join(dir, 'workspace/linked'))
  await runProcess('mkfifo', [join(dir, 'workspace/fifo')])
  linkSync(join(dir, 'configs/config.yaml'), join(dir, 'configs/linked.yaml'))
  linkSync(join(dir, 'configs/.auth_token'), join(dir, 'workspace/innocent.txt'))
}

function at(path: string): URL {
  return new URL(path, platform.url)
}

const download = (path: string, sending: Sending = {}) =>
  send(workspace.downloadUrl(path), { headers: workspace.authorization, ...sending })

const upload = (pieces: Iterable<Buffer | string>, headers: Record<string, string> = {}) =>
  postForm(
    { url: workspace.uploadUrl, headers: { ...workspace.authorization, ...headers } },
    pieces,
  )

/** The runtime itself, spoken to the way the platform does. */
async function runtimeTarget(path: string, box = workspace) {
  const row: unknown = await (await fetch(at(`/workspaces/${box.id}`))).json()
  const { url } = row as { url: string }
  return { url: new URL(path, url), headers: { authorization: `Bearer ${inboundSecret(box)}` } }
}

const secretFile = (box: OnlineWorkspace) => join(box.dir, 'configs/.platform_inbound_secret')
const inboundSecret = (box: OnlineWorkspace) => readFileSync(secretFile(box), 'utf8').trim()

async function readDirectly(path: string): Promise<Answer> {
  const { url, headers } = await runtimeTarget('/internal/file/read')
  url.searchParams.set('path', path)
  return send(url, { headers })
}

describe('who may ask, and for what (contract/platform 3.4, 6.1)', () => {
  const BOTH = [
    ['POST', 'chat/uploads'],
    ['GET', 'chat/download?path=/workspace/a.txt'],
  ] as const

  it.each(BOTH)('%s %s needs a workspace token', async (method, path) => {
    const url = at(`/workspaces/${workspace.id}/${path}`)
    expectFailure(await send(url, { method }), {
      status: 401,
      error: 'missing workspace auth token',
      code: 'missing_workspace_token',
      hop: 'platform',
    })
  })

  it.each(BOTH)('%s %s refuses a wrong one', async (method, path) => {
    const url = at(`/workspaces/${workspace.id}/${path}`)
    const headers = { authorization: 'Bearer wrong' }
    expectFailure(await send(url, { method, headers }), {
      status: 401,
      error: 'invalid workspace auth token',
      code: 'invalid_workspace_token',
      hop: 'platform',
    })
  })
})

describe('the same for an operator', () => {
  const adminToken = 'admin-token-of-the-errors-test'
  let guarded: PlatformProcess

  beforeAll(async () => {
    guarded = await startPlatform({ env: { ADMIN_TOKEN: adminToken } })
  })
  afterAll(async () => {
    await guarded.stop()
  })

  const ask = (method: string, path: string) =>
    send(new URL(path, guarded.url), {
      method,
      headers: { authorization: `Bearer ${adminToken}` },
    })

  it.each([
    ['POST', 'chat/uploads'],
    ['GET', 'chat/download?path=/workspace/a.txt'],
  ])('%s %s names an id that is none, and one that is nobody', async (method, path) => {
    expectFailure(await ask(method, `/workspaces/not-a-uuid/${path}`), {
      status: 400,
      error: 'invalid workspace ID',
      code: 'invalid_workspace_id',
      hop: 'platform',
    })
    expectFailure(await ask(method, `/workspaces/${UNKNOWN}/${path}`), {
      status: 404,
      error: 'workspace not found',
      code: 'workspace_not_found',
      hop: 'platform',
    })
  })
})

describe('reading a file', () => {
  /** In the contract's order, and each in the words of whoever refuses first (6.3, runtime 3.1). */
  const LEXICAL = [
    ['', 'path query required', 'path_required'],
    ['workspace/a.txt', 'path must be absolute', 'path_not_absolute'],
    ['/etc/passwd', OUTSIDE, 'path_outside_roots'],
    ['/workspaceX/a.txt', OUTSIDE, 'path_outside_roots'],
    ['/workspace/../etc/passwd', 'invalid path', 'invalid_path'],
    ['/workspace//a.txt', 'invalid path', 'invalid_path'],
    ['/workspace/a.txt/', 'invalid path', 'invalid_path'],
    ['/workspace/a\u0000b', 'invalid path', 'invalid_path'],
    ['/workspace', 'path is not a regular file', 'not_a_regular_file'],
  ] as const
  /** What lies there is known to the runtime only. */
  const PHYSICAL = [
    [404, '/workspace/missing.txt', 'file not found', 'file_not_found'],
    [404, '/workspace/a.txt/below', 'file not found', 'file_not_found'],
    [404, '/workspace/linked/passwd', 'file not found', 'file_not_found'],
    [404, '/workspace/innocent.txt', 'file not found', 'file_not_found'],
    [400, '/workspace/folder', 'path is not a regular file', 'not_a_regular_file'],
    [400, '/workspace/link', 'path is not a regular file', 'not_a_regular_file'],
    [400, '/workspace/fifo', 'path is not a regular file', 'not_a_regular_file'],
    [403, '/configs/linked.yaml', 'file is not readable', 'file_forbidden'],
  ] as const
  const SECRETS = ['/configs/.auth_token', '/configs/.platform_inbound_secret'] as const

  it.each(LEXICAL)('refuses %j', async (path, error, code) => {
    expectFailure(await download(path), { status: 400, error, code, hop: 'platform' })
  })

  it.each(PHYSICAL)('answers %i for %s', async (status, path, error, code) => {
    expectFailure(await download(path), { status, error, code, hop: 'workspace' })
  })

  it.each(SECRETS)('does not admit that %s exists', async (path) => {
    const expected = { status: 404, error: 'file not found', code: 'file_not_found' } as const
    expectFailure(await download(path), { ...expected, hop: 'platform' })
    expectFailure(await readDirectly(path), { ...expected, hop: 'workspace' })
  })

  it('answers 416 for a range behind the end', async () => {
    const headers = { ...workspace.authorization, range: 'bytes=5-' }
    const answer = await download('/workspace/a.txt', { headers })
    expect(answer.headers['content-range']).toBe('bytes */5')
    expectFailure(answer, {
      status: 416,
      error: 'range not satisfiable',
      code: 'range_not_satisfiable',
      hop: 'workspace',
    })
  })

  it.each(LEXICAL)(
    'is refused by the runtime for the same reason: %j',
    async (path, error, code) => {
      expectFailure(await readDirectly(path), { status: 400, error, code, hop: 'workspace' })
    },
  )
})

describe('storing files (contract/runtime 2.2)', () => {
  const MALFORMED = {
    status: 400,
    error: 'failed to parse multipart form',
    code: 'multipart_malformed',
    hop: 'workspace',
  } as const
  const NO_FILES = {
    status: 400,
    error: "expected at least one 'files' field",
    code: 'files_field_missing',
    hop: 'workspace',
  } as const
  const TOO_LONG = {
    status: 413,
    error: 'request body exceeds total limit (50 MB)',
    code: 'declared_length_exceeds_total',
  } as const
  const LIMIT_BYTES = 52_428_800

  /** Only says how long the body would be. */
  async function announce(
    target: Pick<Awaited<ReturnType<typeof runtimeTarget>>, 'url'>,
    headers: {
      authorization: string
    },
  ): Promise<Answer> {
    const request = begin(target.url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
        'content-length': String(LIMIT_BYTES + 1),
      },
    })
    const answer = answerTo(request)
    request.flushHeaders()
    try {
      return await answer
    } finally {
      request.destroy()
    }
  }

  it('refuses a declared length over the total, on both sides in the same words', async () => {
    const platformAnswer = await announce({ url: workspace.uploadUrl }, workspace.authorization)
    expectFailure(platformAnswer, { ...TOO_LONG, hop: 'platform' })
    const direct = await runtimeTarget('/internal/chat/uploads/ingest')
    expectFailure(await announce(direct, direct.headers), { ...TOO_LONG, hop: 'workspace' })
  })

  it('cuts a body of undeclared length where the platform counts', async () => {
    const parts = [1, 2, 3].map((each) => ({ fileName: `${each}.bin`, bytes: 20 * MIB }))
    expectFailure(await upload(form(parts)), { ...TOO_LONG, hop: 'platform' })
  })

  it('cuts the files of a request where the runtime counts', async () => {
    const direct = await runtimeTarget('/internal/chat/uploads/ingest')
    const parts = [1, 2, 3].map((each) => ({ fileName: `${each}.bin`, bytes: 20 * MIB }))
    expectFailure(await postForm(direct, form(parts)), {
      status: 413,
      error: 'total request body exceeds limit (50 MB)',
      code: 'total_limit_exceeded',
      hop: 'workspace',
    })
  })

  it("refuses one file that is too large by the client's own name for it", async () => {
    const parts = [{ fileName: 'big report.bin', bytes: 26_214_401 }]
    expectFailure(await upload(form(parts)), {
      status: 413,
      error: 'big report.bin exceeds per-file limit (25 MB)',
      code: 'file_limit_exceeded',
      hop: 'workspace',
    })
  })

  it.each([
    ['without a boundary', { 'content-type': 'multipart/form-data' }, ['anything']],
    ['that is no form', { 'content-type': 'application/json' }, ['{}']],
    [
      'without its last delimiter',
      {},
      [`--${BOUNDARY}\r\nContent-Disposition: form-data; name="x"`],
    ],
    ['of 65 files', {}, form(Array.from({ length: 65 }, () => ({ fileName: 'a', bytes: 'a' })))],
  ])('refuses a body %s', async (_, headers, pieces) => {
    expectFailure(await upload(pieces, headers), MALFORMED)
  })

  it.each([
    ['nothing', []],
    ['only plain values', [{ bytes: 'text' }]],
    ['files in other fields only', [{ name: 'other', fileName: 'a.txt', bytes: 'text' }]],
  ])('refuses a form with %s', async (_, parts) => {
    expectFailure(await upload(form(parts)), NO_FILES)
  })

  it('says that there is no folder to store in', async () => {
    const blocked = await OnlineWorkspace.create(platform, 'blocked')
    writeFileSync(join(blocked.dir, 'workspace/.molecule'), 'a file where a folder has to be')
    const target = { url: blocked.uploadUrl, headers: blocked.authorization }
    expectFailure(await postForm(target, form([{ fileName: 'a.txt', bytes: 'a' }])), {
      status: 500,
      error: 'failed to prepare uploads dir',
      code: 'uploads_dir_failed',
      hop: 'workspace',
      retryable: true,
    })
  })

  it('stored none of what it refused', () => {
    expect(workspace.uploadNames).toEqual([])
  })
})

describe("the runtime's own door (contract/runtime 1.3)", () => {
  const UNAUTHORIZED = {
    status: 401,
    error: 'unauthorized',
    code: 'unauthorized',
    hop: 'workspace',
  } as const

  it.each([
    ['GET', '/internal/file/read?path=/etc/passwd'],
    ['POST', '/internal/chat/uploads/ingest'],
  ])('%s %s lets nobody in without the inbound secret', async (method, path) => {
    const { url } = await runtimeTarget(path)
    for (const authorization of [undefined, 'Bearer wrong', `Bearer ${workspace.token}`]) {
      const headers = authorization === undefined ? {} : { authorization }
      expectFailure(await send(url, { method, headers }), UNAUTHORIZED)
    }
  })

  it('is shut while its secret is missing; the platform says so and delivers it again', async () => {
    const forgetful = await OnlineWorkspace.create(platform, 'forgetful')
    writeFileSync(join(forgetful.dir, 'workspace/a.txt'), 'hello')
    const url = forgetful.downloadUrl('/workspace/a.txt')
    const sending = { headers: forgetful.authorization }
    const direct = await runtimeTarget('/internal/file/read?path=/workspace/a.txt', forgetful)
    rmSync(secretFile(forgetful))
    expectFailure(await send(direct.url, direct), UNAUTHORIZED)
    expectFailure(await send(url, sending), {
      status: 502,
      error:
        'workspace refused the platform: its inbound secret is out of date and is being delivered again; retry in 30 seconds',
      code: 'workspace_auth_mismatch',
      hop: 'workspace',
      retryable: true,
      retryAfter: 30,
    })
    await eventually(async () => (await send(url, sending)).status === 200)
  })
})
