import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readBody, sendJson } from '../../support/stand-in-platform.ts'
import { cli, temporaryFolder, WORKSPACE_ID } from './cli-harness.ts'
import { endServedPlatforms, platform, serve } from './served-platform.ts'

endServedPlatforms()

const HOST = 'https://lab.example:8022/base'
const TOKEN = 'token-of-the-job-control-host'
const FACTS = { workspace_id: WORKSPACE_ID, url: HOST, created_at: 'x', updated_at: 'y' }

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(async () => {
  await folder.remove()
})

function jobControl(args: readonly string[], stdin = '') {
  const env = { ATRIUM_URL: platform?.url ?? '', ADMIN_TOKEN: 'the-admin-token' }
  return cli(['workspaces', 'job-control', ...args], { env, stdin, cwd: folder.path })
}

describe('atrium workspaces job-control', () => {
  it.each([
    ['a file', 'token', ''],
    ['standard input', '-', `${TOKEN}\n`],
  ])('sets address and token, from %s, and prints the address only', async (_what, file, stdin) => {
    let body: unknown
    const server = await serve(async ({ request, response }) => {
      body = JSON.parse(String(await readBody(request)))
      sendJson(response, FACTS)
    })
    await writeFile(join(folder.path, 'token'), `${TOKEN}\n`)
    const set = ['set', WORKSPACE_ID, '--host', HOST, '--token-file', file]
    const run = await jobControl(set, stdin)
    expect([run.exitCode, run.stdout, run.stderr]).toEqual([0, `${HOST}\n`, ''])
    expect(body).toEqual({ url: HOST, token: TOKEN })
    expect(server.seen[0]).toMatchObject({
      line: `PUT /workspaces/${WORKSPACE_ID}/job-control`,
      headers: { authorization: 'Bearer the-admin-token' },
    })
  })

  it('shows and removes it', async () => {
    const server = await serve(({ request, response }) =>
      sendJson(response, request.method === 'GET' ? FACTS : { status: 'removed' }),
    )
    const shown = await jobControl(['show', WORKSPACE_ID, '--json'])
    expect(JSON.parse(shown.stdout)).toEqual(FACTS)
    const removed = await jobControl(['rm', WORKSPACE_ID])
    expect(removed.stdout).toBe(`removed the job control of ${WORKSPACE_ID}\n`)
    expect(server.seen.map(({ line }) => line.split(' ')[0])).toEqual(['GET', 'DELETE'])
  })

  it('repeats no token, even when a platform tells it', async () => {
    await serve(({ response }) => sendJson(response, { ...FACTS, token: TOKEN }))
    const set = ['set', WORKSPACE_ID, '--host', HOST, '--token-file', '-', '--json']
    const run = await jobControl(set, TOKEN)
    expect([run.exitCode, JSON.parse(run.stdout)]).toEqual([0, FACTS])
  })

  it.each([
    ['no token in the file', ['--host', HOST, '--token-file', '-']],
    ['no such file', ['--host', HOST, '--token-file', 'absent']],
    ['no host', ['--token-file', 'token']],
  ])('asks nothing with %s', async (_what, args) => {
    await serve(({ response }) => sendJson(response, FACTS))
    await writeFile(join(folder.path, 'token'), TOKEN)
    const run = await jobControl(['set', WORKSPACE_ID, ...args])
    expect(run.exitCode).toBe(2)
    expect(run.stdout + run.stderr).not.toContain(TOKEN)
    expect(platform?.seen).toEqual([])
  })

  it('ends with 3 where none is set', async () => {
    await serve(({ response }) => {
      sendJson(response, { error: 'no job control', code: 'job_control_not_found' }, 404)
    })
    expect((await jobControl(['show', WORKSPACE_ID])).exitCode).toBe(3)
  })
})
