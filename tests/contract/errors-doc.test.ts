import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_TABLE, type ErrorCode } from '@atrium/http-kit/app-error'
import { describe, expect, it } from 'vitest'

type Row = { status: number; retry: string; hop: string; text: string; explains: boolean }

const DOCUMENT = join(import.meta.dirname, '../../docs/errors.md')
const ROW = /^\| `(?<code>[a-z0-9_]+)` *\| *(?<cells>\d{3} *\|.*)\|$/

function documentedRows(): Map<string, Row> {
  const rows = new Map<string, Row>()
  for (const line of readFileSync(DOCUMENT, 'utf8').split('\n')) {
    const { code, cells } = ROW.exec(line)?.groups ?? {}
    if (code === undefined || cells === undefined) continue
    const [status, retry = '', hop = '', text = '', meaning = '', todo = ''] = cells
      .split('|')
      .map((cell) => cell.trim())
    expect(rows.has(code), `${code} is documented once`).toBe(false)
    const explains = meaning.length > 10 && todo.length > 5
    rows.set(code, { status: Number(status), retry, hop, text, explains })
  }
  return rows
}

function tableRow(code: ErrorCode): Row {
  const entry: {
    status: number
    text: string
    retryable: boolean
    hop?: string
    retryAfterSeconds?: number
  } = ERROR_TABLE[code]
  const after = entry.retryAfterSeconds === undefined ? '' : `, after ${entry.retryAfterSeconds} s`
  return {
    status: entry.status,
    retry: entry.retryable ? `yes${after}` : 'no',
    hop: entry.hop ?? '-',
    text: entry.text,
    explains: true,
  }
}

describe('docs/errors.md', () => {
  const codes = Object.keys(ERROR_TABLE).filter((code): code is ErrorCode => code in ERROR_TABLE)

  it('documents every code and no other', () => {
    expect([...documentedRows().keys()].toSorted()).toEqual(codes.toSorted())
  })

  it.each(codes)('says of %s what the table says, what it means and what to do', (code) => {
    expect(documentedRows().get(code)).toEqual(tableRow(code))
  })
})
