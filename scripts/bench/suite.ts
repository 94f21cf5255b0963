/** @module The works of design/performance 4 that move bytes, one function for each group. */
import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Atrium, StoredFile } from './atrium.ts'
import { peakMemoryBytes, resetPeakMemory } from './child.ts'
import { download, type Target, type Upload, upload } from './load.ts'
import { interleave } from './measure.ts'
import type { Nginx } from './nginx.ts'
import type { Row } from './report.ts'

const MIB = 1024 ** 2
export const CHUNK = Buffer.alloc(MIB, 'atrium bench ')

export type Suite = {
  /** Its uploads are not synced to the disk. */
  readonly atrium: Atrium
  /** Its uploads are, as in production. */
  readonly synced: Atrium
  readonly nginx: Nginx | undefined
  readonly nginxFolder: string
  readonly rounds: number
  readonly say: (line: string) => void
}

const DOWNLOADS = [
  { work: 'download 1 MiB x16', sizeMib: 1, connections: 16, requests: 480, atLeastRatio: 0.75 },
  { work: 'download 100 MiB x1', sizeMib: 100, connections: 1, requests: 8, atLeastRatio: 1 },
  { work: 'download 100 MiB x8', sizeMib: 100, connections: 8, requests: 16, atLeastRatio: 1 },
  { work: 'download 1 GiB x1', sizeMib: 1024, connections: 1, requests: 1, atLeastRatio: 1.1 },
] as const

const UPLOAD_MIB = 50
const UPLOADS_PER_ROUND = 4

export async function measureDownloads(suite: Suite): Promise<Row[]> {
  const { atrium, nginx } = suite
  const rows: Row[] = []
  const stored = new Map<number, StoredFile>()
  for (const { sizeMib } of DOWNLOADS) {
    if (stored.has(sizeMib)) continue
    const file = await atrium.store(CHUNK, sizeMib)
    stored.set(sizeMib, file)
    nginx?.publish(`${sizeMib}`, file.file)
  }
  for (const { work, sizeMib, connections, requests, atLeastRatio } of DOWNLOADS) {
    suite.say(work)
    const file = stored.get(sizeMib)
    if (file === undefined) continue
    const run = (target: Target) => () => download(target, { connections, requests })
    const medians = await interleave(
      [
        { name: 'atrium', run: run(file.download) },
        ...(nginx === undefined
          ? []
          : [
              { name: 'nginx', run: run({ port: nginx.frontPort, path: `/${sizeMib}` }) },
              { name: 'origin', run: run({ port: nginx.originPort, path: `/${sizeMib}` }) },
            ]),
      ],
      suite.rounds,
    )
    const ceiling = medians.get('origin')
    if (ceiling !== undefined) {
      suite.say(`  (this load client at one nginx alone: ${ceiling.toFixed(0)} MB/s)`)
    }
    rows.push({
      work,
      unit: 'MB/s',
      atrium: medians.get('atrium') ?? Number.NaN,
      peer: medians.get('nginx'),
      target: { atLeastRatio },
    })
  }
  atrium.removeUploads()
  return rows
}

export async function measureUploads(suite: Suite): Promise<Row[]> {
  suite.say(`upload ${UPLOAD_MIB} MiB`)
  const { atrium, synced, nginx } = suite
  // One write for the whole middle: what a client with the file in memory does.
  const content = Buffer.alloc(UPLOAD_MIB * MIB, 'atrium bench ')
  const medians = await interleave(
    [
      { name: 'atrium', run: () => severalUploads(atrium.uploadJob(content, 1)) },
      { name: 'synced', run: () => severalUploads(synced.uploadJob(content, 1)) },
      ...(nginx === undefined
        ? []
        : [{ name: 'nginx', run: () => severalUploads(rawPut(nginx, content)) }]),
    ].map(({ name, run }) => ({
      name,
      run: async () => {
        const speed = await run()
        // Removed between the rounds, so that no round pays for writing back another's pages.
        for (const each of [atrium, synced]) each.removeUploads()
        for (const file of globSync(join(suite.nginxFolder, 'root/put/*'))) rmSync(file)
        return speed
      },
    })),
    suite.rounds,
  )
  const peer = medians.get('nginx')
  return [
    {
      work: `upload ${UPLOAD_MIB} MiB, no fsync`,
      unit: 'MB/s',
      atrium: medians.get('atrium') ?? Number.NaN,
      peer,
      target: { atLeastRatio: 0.55 },
    },
    {
      work: `upload ${UPLOAD_MIB} MiB, fsync`,
      unit: 'MB/s',
      atrium: medians.get('synced') ?? Number.NaN,
      peer,
    },
  ]
}

async function severalUploads(job: Upload): Promise<number> {
  let inverse = 0
  for (let index = 0; index < UPLOADS_PER_ROUND; index += 1) {
    inverse += 1 / (await upload({ ...job, path: job.path.replace('%INDEX%', `${index}`) }))
  }
  return UPLOADS_PER_ROUND / inverse
}

/** Not parsed, not hashed, not synced: the floor of what receiving a file costs. */
function rawPut(nginx: Nginx, content: Buffer): Upload {
  const nothing = Buffer.alloc(0)
  return {
    port: nginx.frontPort,
    path: '/put/%INDEX%.bin',
    method: 'PUT',
    body: { first: nothing, middle: content, last: nothing },
    times: 1,
  }
}

const SMALL_MIB = 16
const LARGE_MIB = 1024
const MAX_GROWTH_MIB = 16

/** How much the peak of each process grows when one transfer is 64 times as large. */
export async function measureMemory(suite: Suite): Promise<Row[]> {
  const { atrium } = suite
  suite.say('peak memory')
  const small = await atrium.store(CHUNK, SMALL_MIB)
  const large = await atrium.store(CHUNK, LARGE_MIB)
  const directions = {
    download: (size: 'small' | 'large') =>
      download((size === 'small' ? small : large).download, { connections: 1, requests: 1 }),
    upload: (size: 'small' | 'large') =>
      upload(atrium.uploadJob(CHUNK, size === 'small' ? SMALL_MIB : LARGE_MIB)),
  }
  const rows: Row[] = []
  for (const [direction, run] of Object.entries(directions)) {
    const peaks = { small: await peaksDuring(atrium, () => run('small')) }
    const grown = await peaksDuring(atrium, () => run('large'))
    atrium.removeUploads([small, large])
    for (const hop of ['platform', 'runtime'] as const) {
      rows.push(
        { work: `peak RSS of the ${hop}, ${direction} 1 GiB`, unit: 'MiB', atrium: grown[hop] },
        {
          work: `  growth since ${direction} 16 MiB`,
          unit: 'MiB',
          atrium: grown[hop] - peaks.small[hop],
          target: { atMost: MAX_GROWTH_MIB },
        },
      )
    }
  }
  atrium.removeUploads()
  return rows
}

type Peaks = { readonly platform: number; readonly runtime: number }

/** Three runs, so that a collector that was late once does not decide. */
async function peaksDuring(atrium: Atrium, run: () => Promise<unknown>): Promise<Peaks> {
  for (const pid of [atrium.platformPid, atrium.runtimePid]) resetPeakMemory(pid)
  for (let index = 0; index < 3; index += 1) await run()
  return {
    platform: peakMemoryBytes(atrium.platformPid) / MIB,
    runtime: peakMemoryBytes(atrium.runtimePid) / MIB,
  }
}
