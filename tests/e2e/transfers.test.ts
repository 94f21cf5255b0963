/**
 * Bytes through both processes: whole, and at a cost that does not depend on how many they are or
 * how slowly they are taken (design/performance 4). `ATRIUM_TRANSFER_MIB=1024` is the full size.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { MultipartUpload } from '../support/multipart-upload.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import {
  bytesRead,
  descriptorCount,
  peakResidentBytes,
  resetPeak,
  residentBytes,
} from '../support/process-figures.ts'
import { open, send } from '../support/raw-client.ts'
import { seededBytes, seededDigest } from '../support/seeded-bytes.ts'
import { ThrottledReader } from '../support/throttled-reader.ts'

const MIB = 1024 ** 2
const KIB = 1024
const SMALL_BYTES = 16 * MIB
const LARGE_BYTES = Number(process.env['ATRIUM_TRANSFER_MIB'] ?? 256) * MIB
const MAX_GROWTH_BYTES = 64 * MIB

let platform: PlatformProcess
let workspace: OnlineWorkspace

beforeAll(async () => {
  const limit = String(LARGE_BYTES + MIB)
  platform = await startPlatform({
    env: {
      ATRIUM_MAX_FILE_BYTES: limit,
      ATRIUM_MAX_REQUEST_BYTES: limit,
    },
  })
  workspace = await OnlineWorkspace.create(platform, 'transfers')
})
afterAll(async () => {
  await platform.stop()
})

type Stored = { readonly uri: string; readonly size: number; readonly sha256: string }

async function upload(fileName: string, size: number): Promise<Stored> {
  const { uploadUrl: url, authorization: headers } = workspace
  const sending = new MultipartUpload({ url, headers, fileName, size })
  await sending.send(seededBytes(fileName, size))
  const answer = await sending.finish()
  const text = answer.body.toString('utf8')
  expect([answer.status, answer.isComplete], text).toEqual([200, true])
  const body = JSON.parse(text) as { files: Stored[] }
  const [stored] = body.files
  if (stored === undefined) throw new Error(text)
  return stored
}

async function beginDownload(stored: Stored): Promise<ThrottledReader> {
  const url = workspace.downloadUrl(stored.uri)
  const response = await open(url, { headers: workspace.authorization })
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-length']).toBe(String(stored.size))
  return new ThrottledReader(response)
}

async function download(stored: Stored): Promise<ThrottledReader> {
  const reader = await beginDownload(stored)
  await reader.readRest()
  return reader
}

/** Runs `work` and returns the most memory that each process had meanwhile. */
async function peaksDuring(work: () => Promise<unknown>): Promise<Peaks> {
  const pids = processes()
  for (const pid of pids) resetPeak(pid)
  await work()
  const [platformPeak = 0, runtimePeak = 0] = pids.map(peakResidentBytes)
  return { platform: platformPeak, runtime: runtimePeak }
}
type Peaks = { readonly platform: number; readonly runtime: number }

function processes(): readonly [number, number] {
  return [platform.pid, workspace.runtimePid]
}

/** The most that this kernel buffers for a connection of its own: tcp(7), tcp_wmem and tcp_rmem. */
function maxSocketBytes(): number {
  return ['tcp_wmem', 'tcp_rmem']
    .map((name) => readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2])
    .reduce((sum, bytes) => sum + Number(bytes), 0)
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`

function report(what: string, facts: Readonly<Record<string, string>>): void {
  const words = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  process.stdout.write(`  [transfers] ${what}: ${words.join(', ')}\n`)
}

describe(`a file of ${LARGE_BYTES / MIB} MiB`, () => {
  let small: Stored
  let large: Stored
  let smallDownload: Peaks
  let smallUpload: Peaks

  // Before anything large: what that leaves behind must not hide in the comparison.
  beforeAll(async () => {
    smallUpload = await peaksDuring(async () => {
      small = await upload('small.bin', SMALL_BYTES)
    })
    smallDownload = await peaksDuring(() => download(small))
  })

  function expectFlat(direction: string, before: Peaks, after: Peaks): void {
    const growth = {
      platform: after.platform - before.platform,
      runtime: after.runtime - before.runtime,
    }
    report(`${direction}, 16 -> ${LARGE_BYTES / MIB} MiB, growth of peak memory`, {
      platform: `${mib(growth.platform)} (${mib(before.platform)} -> ${mib(after.platform)})`,
      runtime: `${mib(growth.runtime)} (${mib(before.runtime)} -> ${mib(after.runtime)})`,
    })
    expect(growth.platform).toBeLessThan(MAX_GROWTH_BYTES)
    expect(growth.runtime).toBeLessThan(MAX_GROWTH_BYTES)
  }

  it('goes up whole, in memory that does not grow with it', async () => {
    const peaks = await peaksDuring(async () => {
      large = await upload('large.bin', LARGE_BYTES)
    })
    expect(large.size).toBe(LARGE_BYTES)
    expect(large.sha256).toBe(seededDigest('large.bin', LARGE_BYTES))
    expectFlat('up', smallUpload, peaks)
  })

  it('comes down whole, in memory that does not grow with it', async () => {
    let reader: ThrottledReader | undefined
    const peaks = await peaksDuring(async () => {
      reader = await download(large)
    })
    expect(reader?.bytes).toBe(LARGE_BYTES)
    expect(reader?.digest()).toBe(large.sha256)
    expectFlat('down', smallDownload, peaks)
  })
})

describe('a reader that takes 1 MiB a second', () => {
  const SLOW_BYTES = Math.min(LARGE_BYTES, 256 * MIB)
  const PACE = MIB
  const WATCHED_MS = 4_000
  /** Of one connection on the way; the sending and the receiving end fill up before anybody waits. */
  const SOCKET_BYTES = maxSocketBytes()
  /** What a process may hold of one transfer: a pair of read buffers and a stream's queue. */
  const PROCESS_BYTES = 4 * MIB
  /** Design/performance 4, for eight of them. */
  const MAX_MEMORY_BYTES = 32 * MIB
  let stored: Stored

  beforeAll(async () => {
    stored = await upload('slow.bin', SLOW_BYTES)
  })

  it.each([1, 8])('makes neither process buffer (%i at once)', async (count) => {
    const [platformPid, runtimePid] = processes()
    const idle = [residentBytes(platformPid), residentBytes(runtimePid)] as const
    const readBefore = [bytesRead(platformPid), bytesRead(runtimePid)] as const
    for (const pid of processes()) resetPeak(pid)

    const responses = await Promise.all(
      Array.from({ length: count }, () =>
        open(workspace.downloadUrl(stored.uri), { headers: workspace.authorization }),
      ),
    )
    const readers = responses.map((response) => new ThrottledReader(response))
    await Promise.all(readers.map((reader) => reader.readSlowly(PACE, WATCHED_MS)))

    const taken = readers.reduce((sum, reader) => sum + reader.bytes, 0)
    const ahead = {
      platform: bytesRead(platformPid) - readBefore[0] - taken,
      runtime: bytesRead(runtimePid) - readBefore[1] - taken,
    }
    const memory = {
      platform: peakResidentBytes(platformPid) - idle[0],
      runtime: peakResidentBytes(runtimePid) - idle[1],
    }
    report(`${count} slow of ${mib(SLOW_BYTES)}, ${mib(taken)} taken`, {
      'read ahead: platform': mib(ahead.platform),
      runtime: mib(ahead.runtime),
      'memory: platform': mib(memory.platform),
      'runtime ': mib(memory.runtime),
    })
    expect(taken).toBeGreaterThan(count * MIB)
    expect(ahead.platform).toBeLessThan(count * (SOCKET_BYTES + PROCESS_BYTES))
    expect(ahead.runtime).toBeLessThan(count * 2 * (SOCKET_BYTES + PROCESS_BYTES))
    expect(memory.platform).toBeLessThan(MAX_MEMORY_BYTES)
    expect(memory.runtime).toBeLessThan(MAX_MEMORY_BYTES)
    for (const reader of readers) {
      expect(reader.digest()).toBe(seededDigest('slow.bin', reader.bytes))
    }
    for (const response of responses) response.destroy()
  })

  it('gets every byte when it hurries in the end', async () => {
    const reader = await beginDownload(stored)
    await reader.readSlowly(PACE, 1_000)
    await reader.readRest()
    expect(reader.bytes).toBe(SLOW_BYTES)
    expect(reader.digest()).toBe(stored.sha256)
  })
})

describe('64 files of 100 KiB at once', () => {
  const SIZE = 100 * KIB
  const NAMES = Array.from({ length: 64 }, (_, index) => `many-${index}.bin`)

  it('go up and come down whole, and no descriptor stays open', async () => {
    const before = processes().map(descriptorCount)
    const stored = await Promise.all(NAMES.map((name) => upload(name, SIZE)))
    expect(new Set(stored.map(({ uri }) => uri)).size).toBe(NAMES.length)
    const bodies = await Promise.all(
      stored.map(({ uri }) =>
        send(workspace.downloadUrl(uri), { headers: workspace.authorization }),
      ),
    )
    for (const [index, name] of NAMES.entries()) {
      const expected = Buffer.concat([...seededBytes(name, SIZE)])
      expect(stored[index]?.sha256).toBe(seededDigest(name, SIZE))
      expect(bodies[index]?.isComplete).toBe(true)
      expect(bodies[index]?.body.equals(expected), name).toBe(true)
    }
    expect(workspace.unfinishedUploads).toEqual([])
    // The platform's pool may have grown to its twenty connections; they stay.
    const allowed = [(before[0] ?? 0) + 20, before[1] ?? 0]
    await eventually(() =>
      processes().every((pid, index) => descriptorCount(pid) <= (allowed[index] ?? 0)),
    )
  })
})
