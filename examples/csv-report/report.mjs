#!/usr/bin/env node
/**
 * A small agent for the `exec` adapter: what a command-line tool has to do to live in a workspace.
 *
 *   stdin                the text of the message
 *   ATRIUM_ATTACHMENTS   JSON array of { path, name, mimeType }: the files that came with it
 *   ATRIUM_OUTPUT_DIR    whatever is written here goes back as a file
 *   stdout               the answer
 *   exit code            0, or the task has failed and stderr says why
 *
 * A CSV file comes back as a summary in Markdown and a cleaned CSV, a PNG image as a thumbnail. When
 * the message contains the word "copy", every file also comes back byte for byte.
 */
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { env, stdin, stdout } from 'node:process'
import { text } from 'node:stream/consumers'
import { cleanCsv, parseCsv, summarise, writeCsv } from './csv.mjs'
import { decodePng, encodePng, readPngHeader, shrink } from './png.mjs'

const THUMBNAIL_SIDE = 128
// biome-ignore lint/style/noProcessEnv: the environment is how a tool of this kind is told things.
const outputDir = env.ATRIUM_OUTPUT_DIR

async function save(name, content) {
  await writeFile(join(outputDir, name), content, { flag: 'wx' })
  return name
}

async function reportCsv(path, name) {
  const stem = basename(name, extname(name))
  const table = cleanCsv(parseCsv(await readFile(path, 'utf8')))
  const saved = [
    await save(`${stem}-summary.md`, summarise(name, table)),
    await save(`${stem}-clean.csv`, writeCsv([table.heading, ...table.rows])),
  ]
  const { rows, heading, droppedCount } = table
  const facts = `${rows.length} rows, ${heading.length} columns, ${droppedCount} rows dropped`
  return `${name}: ${facts} -> ${saved.join(', ')}`
}

async function reportPng(path, name) {
  const stem = basename(name, extname(name))
  const file = await readFile(path)
  const { width, height } = readPngHeader(file)
  const thumbnail = shrink(decodePng(file), THUMBNAIL_SIDE)
  const saved = await save(`${stem}-thumbnail.png`, encodePng(thumbnail))
  const size = `${thumbnail.width} x ${thumbnail.height}`
  return `${name}: ${width} x ${height} pixels -> ${saved} (${size})`
}

async function report({ path, name }, isCopyWanted) {
  if (isCopyWanted) await copyFile(path, join(outputDir, `copy-of-${name}`))
  const extension = extname(name).toLowerCase()
  if (extension === '.csv') return await reportCsv(path, name)
  if (extension === '.png') return await reportPng(path, name)
  return `${name}: neither a CSV file nor a PNG image, left alone`
}

const message = await text(stdin)
// biome-ignore lint/style/noProcessEnv: as above.
const attachments = JSON.parse(env.ATRIUM_ATTACHMENTS ?? '[]')
if (outputDir === undefined || attachments.length === 0) {
  stdout.write('Attach a CSV file or a PNG image, and I will report on it.\n')
} else {
  const isCopyWanted = /\bcop(?:y|ies)\b/i.test(message)
  for (const attachment of attachments) {
    stdout.write(`${await report(attachment, isCopyWanted)}\n`)
  }
}
