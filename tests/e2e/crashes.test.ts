/**
 * Every process on the way of a transfer is killed in the middle of it: nothing half done is left,
 * nobody takes a short body for a whole one, and what comes next works.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { MultipartUpload } from '../support/multipart-upload.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { descriptorCount, processesMentioning } from '../support/process-figures.ts'
import { isRunning } from '../support/process-probe.ts'
import { open, send } from '../support/raw-client.ts'
import { seededBytes, seededDigest } from '../support/seeded-bytes.ts'
import { sendSignal } from '../support/send-signal.ts'
import { ThrottledReader } from '../support/throttled-reader.ts'

const MIB = 1024 ** 2
/** More than the sockets on the way can hold, so that a download is always in its middle. */
const BIG_BYTES = 256 * MIB
const UPLOAD_BYTES = 24 * MIB
/** Connections of the pool; few, so that all of them are open before anything is counted. */
const POOL = 2
/** A sandbox ends with its platform, whatever hangs in it: here is what happens without one. */
const ENV = { ATRIUM_SANDBOX: 'off' }
/** curl: "Partial file", "Failure in receiving network data". */
const CURL_BROKEN = [18, 56]

let folder: string
let platform: PlatformProcess
let workspace: OnlineWorkspace
let before: readonly number[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atrium-crashes-'))
  writeFileSync(join(folder, 'upload.bin'), '')
  truncateSync(join(folder, 'upload.bin'), UPLOAD_BYTES)
  platform = await startPlatform({ env: { ...ENV, DATABASE_MAX_CONNECTIONS: String(POOL) } })
  workspace = await OnlineWorkspace.create(platform, 'crashes')
  putBigFile()
  before = await settledDescriptors()
})
afterAll(async () => {
  try {
    await platform.stop()
  } finally {
    // A test that failed may have left what it was about.
    for (const pid of processesMentioning(platform.dataDir)) sendSignal(pid, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
})

/** A sparse one: what it holds does not matter, how long it is does. */
function putBigFile(): void {
  const path = join(workspace.dir, 'workspace/big.bin')
  writeFileSync(path, '')
  truncateSync(path, BIG_BYTES)
}

const processes = (): readonly number[] => [platform.pid, workspace.runtimePid]

/** After some work, and once kept connections have gone: the fewest that each process has. */
async function settledDescriptors(): Promise<readonly number[]> {
  await Promise.all([1, 2, 3, 4].map((each) => storeFile(`warm-${each}.bin`, 1)))
  const counts = processes().map(descriptorCount)
  for (const until = performance.now() + 5_000; performance.now() < until; await delay(50)) {
    for (const [index, pid] of processes().entries()) {
      counts[index] = Math.min(counts[index] ?? 0, descriptorCount(pid))
    }
  }
  return counts
}

async function expectNoDescriptorLeak(): Promise<void> {
  const now = () => processes().map(descriptorCount)
  await eventually(
    () => now().every((count, index) => count <= (before[index] ?? 0)),
    15_000,
  ).catch((cause: unknown) => {
    throw new Error(`descriptors: ${before.join(', ')} before, ${now().join(', ')} now`, { cause })
  })
}

type Stored = { readonly uri: string; readonly sha256: string }

async function storeFile(fileName: string, size: number): Promise<Stored> {
  const upload = beginUpload(fileName, size)
  await upload.send(seededBytes(fileName, size))
  const answer = await upload.finish()
  const text = answer.body.toString('utf8')
  expect(answer.status, text).toBe(200)
  const { files } = JSON.parse(text) as { files: Stored[] }
  const [stored] = files
  if (stored === undefined) throw new Error(text)
  return stored
}

function beginUpload(fileName: string, size: number): MultipartUpload {
  const { uploadUrl: url, authorization: headers } = workspace
  return new MultipartUpload({ url, headers, fileName, size })
}

/** Returns when part of the file is on the workspace's disk and the rest has not been sent. */
async function uploadHalf(fileName: string): Promise<MultipartUpload> {
  const upload = beginUpload(fileName, UPLOAD_BYTES)
  await upload.send(seededBytes(fileName, UPLOAD_BYTES / 2))
  await eventually(() => workspace.unfinishedUploads.some(({ size }) => size > 0))
  return upload
}

/** Returns with the first bytes of a file of which most has not been read from the disk yet. */
async function downloadStart(): Promise<ThrottledReader> {
  const url = workspace.downloadUrl('/workspace/big.bin')
  const response = await open(url, { headers: workspace.authorization })
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-length']).toBe(String(BIG_BYTES))
  const reader = new ThrottledReader(response)
  await reader.readSlowly(4 * MIB, 200)
  return reader
}

async function expectBrokenOff(reader: ThrottledReader): Promise<void> {
  await expect(reader.readRest()).rejects.toThrow('aborted')
  expect(reader.bytes).toBeLessThan(BIG_BYTES)
}

/** curl in a process of its own; the credential goes through a pipe, never into the arguments. */
function curl(...args: readonly string[]): ChildProcess {
  const child = spawn('curl', ['--config', '-', '--silent', '--limit-rate', '12M', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env['PATH'] ?? '' },
  })
  child.stdin?.end(`header = "Authorization: Bearer ${workspace.token}"\n`)
  return child
}

async function curlDownload(name: string): Promise<ChildProcess> {
  const output = join(folder, name)
  const url = workspace.downloadUrl('/workspace/big.bin').href
  const child = curl('--output', output, url)
  await eventually(() => (statSync(output, { throwIfNoEntry: false })?.size ?? 0) > 0)
  return child
}

function curlUpload(): ChildProcess {
  const file = `files=@${join(folder, 'upload.bin')}`
  return curl('--form', file, '--output', '/dev/null', workspace.uploadUrl.href)
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode
}

/** Up and down again, both whole. */
async function expectNextRequestWorks(): Promise<void> {
  const stored = await storeFile('next.bin', 3 * MIB + 1)
  expect(stored.sha256).toBe(seededDigest('next.bin', 3 * MIB + 1))
  await expectStillThere(stored, 'next.bin')
}

async function expectStillThere(stored: Stored, fileName: string): Promise<void> {
  const answer = await send(workspace.downloadUrl(stored.uri), { headers: workspace.authorization })
  expect([answer.status, answer.isComplete]).toEqual([200, true])
  expect(answer.body.equals(Buffer.concat([...seededBytes(fileName, answer.body.length)]))).toBe(
    true,
  )
}

const visible = (names: readonly string[]) => names.filter((name) => !name.startsWith('.'))

describe('a client that is killed', () => {
  const CLIENTS = 6

  it('in its uploads leaves no file, no descriptor and no harm', async () => {
    const names = workspace.uploadNames
    const clients = Array.from({ length: CLIENTS }, curlUpload)
    await eventually(() => workspace.unfinishedUploads.filter(({ size }) => size > 0).length >= 3)
    for (const client of clients) client.kill('SIGKILL')
    await Promise.all(clients.map(ended))
    await eventually(() => workspace.unfinishedUploads.length === 0)
    expect(workspace.uploadNames).toEqual(names)
    await expectNextRequestWorks()
    await expectNoDescriptorLeak()
  })

  it('in its downloads leaves no descriptor and no harm', async () => {
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, index) => curlDownload(`killed-${index}`)),
    )
    for (const client of clients) client.kill('SIGKILL')
    await Promise.all(clients.map(ended))
    await expectNextRequestWorks()
    await expectNoDescriptorLeak()
  })
})

describe('a runtime that is killed', () => {
  it('in an upload shows no part of it, and is started again', async () => {
    const names = visible(workspace.uploadNames)
    const upload = await uploadHalf('half.bin')
    const killed = workspace.runtimePid
    process.kill(killed, 'SIGKILL')
    const answer = await upload.answer
    expect(answer.status).toBe(502)
    expect(JSON.parse(answer.body.toString('utf8'))).toMatchObject({
      error: 'workspace unreachable',
      code: 'workspace_unreachable',
      hop: 'workspace',
      retryable: true,
    })
    await workspace.untilRestarted(killed)
    expect(visible(workspace.uploadNames)).toEqual(names)
    for (const { name } of workspace.unfinishedUploads) {
      const url = workspace.downloadUrl(`/workspace/.molecule/chat-uploads/${name}`)
      expect((await send(url, { headers: workspace.authorization })).status).toBe(404)
    }
    await expectNextRequestWorks()
    await expectNoDescriptorLeak()
  })

  it('in a download breaks it off for every client, and sweeps its leftovers', async () => {
    // What nobody has written to for hours is no transfer any more.
    const hoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000)
    writeFileSync(join(workspace.uploadsDir, `.up-${'0'.repeat(24)}.part`), 'left by a crash')
    for (const { name } of workspace.unfinishedUploads) {
      utimesSync(join(workspace.uploadsDir, name), hoursAgo, hoursAgo)
    }

    const [reader, client] = await Promise.all([downloadStart(), curlDownload('broken')])
    const killed = workspace.runtimePid
    process.kill(killed, 'SIGKILL')
    await expectBrokenOff(reader)
    expect(CURL_BROKEN).toContain(await ended(client))
    await workspace.untilRestarted(killed)
    await eventually(() => workspace.unfinishedUploads.length === 0)
    await expectNextRequestWorks()
    await expectNoDescriptorLeak()
  })
})

describe('a platform that is killed', () => {
  let kept: Stored
  let names: readonly string[]
  let orphan: number

  beforeAll(async () => {
    kept = await storeFile('kept.bin', 5 * MIB)
    names = visible(workspace.uploadNames)
  })

  it('in transfers breaks them off for every client, and its workspaces end', async () => {
    const [reader, client, upload] = await Promise.all([
      downloadStart(),
      curlDownload('orphaned'),
      uploadHalf('orphaned.bin'),
    ])
    orphan = workspace.runtimePid
    await platform.kill()
    await expectBrokenOff(reader)
    expect(CURL_BROKEN).toContain(await ended(client))
    await expect(upload.answer).rejects.toMatchObject({ code: 'ECONNRESET' })
    await eventually(() => !isRunning(orphan))
    expect(processesMentioning(platform.dataDir)).toEqual([])
    expect(visible(workspace.uploadNames)).toEqual(names)
  })

  it('comes back with the same workspace and its files', async () => {
    platform = await startPlatform({ after: platform, env: ENV })
    workspace = await OnlineWorkspace.reach(platform, workspace.id)
    expect(processesMentioning(platform.dataDir)).toHaveLength(2)
    expect(visible(workspace.uploadNames)).toEqual(names)
    await expectStillThere(kept, 'kept.bin')
    await expectNextRequestWorks()
  })

  it('comes back although a workspace hangs, and ends that one', async () => {
    const hung = workspace.runtimePid
    process.kill(hung, 'SIGSTOP')
    await platform.kill()
    expect(isRunning(hung)).toBe(true)
    platform = await startPlatform({ after: platform, env: ENV })
    workspace = await OnlineWorkspace.reach(platform, workspace.id)
    expect(isRunning(hung)).toBe(false)
    expect(processesMentioning(platform.dataDir)).toHaveLength(2)
    await expectStillThere(kept, 'kept.bin')
  })
})

describe('a platform that runs', () => {
  it('is not disturbed by a second one on its data folder', async () => {
    const pids = processesMentioning(platform.dataDir)
    await expect(startPlatform({ after: platform, env: ENV })).rejects.toThrow('did not start')
    expect(processesMentioning(platform.dataDir)).toEqual(pids)
    await expectNextRequestWorks()
  })

  it('leaves no process behind when it is stopped', async () => {
    const { dataDir } = platform
    expect(await platform.stop()).toBe(0)
    expect(processesMentioning(dataDir)).toEqual([])
  })
})
