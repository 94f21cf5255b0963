import { AppError } from '@atrium/http-kit/app-error'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReaderOutput } from './reader-output.ts'

const MAX_BYTES = 600

function blobOf(...windows: string[]) {
  const output = new ReaderOutput(MAX_BYTES)
  for (const window of windows) output.take(window)
  return output.blob()
}

function failureOf(...windows: string[]): AppError {
  try {
    blobOf(...windows)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was understood')
}

function framed(text: string | Buffer): string {
  const lines = Buffer.from(text)
    .toString('base64')
    .replaceAll(/.{1,60}/g, '$&\r\n')
  return `banner\r\n\r\n<<<DIFY_FS_BEGIN>>>\r\n${lines}<<<DIFY_FS_END>>>\r\n$ `
}

describe('ReaderOutput', () => {
  it('finds the answer and the bytes behind it, wherever windows and lines are cut', () => {
    const anyCuts = fc.array(fc.nat({ max: 900 }), { maxLength: 12 })
    fc.assert(
      fc.property(anyCuts, fc.uint8Array({ maxLength: 400 }), (cuts, bytes) => {
        const whole = framed(Buffer.concat([Buffer.from('{"size":7}\n'), bytes]))
        const places = [0, ...cuts.toSorted((a, b) => a - b), whole.length]
        const windows = places.slice(1).map((end, at) => whole.slice(places[at], end))
        const { answer, payload } = blobOf(...windows)
        expect(answer).toEqual({ size: 7 })
        expect(payload).toEqual(Buffer.from(bytes))
      }),
    )
  })

  it('takes as much as was asked for', () => {
    expect(blobOf(framed(`{}\n${'x'.repeat(MAX_BYTES - 3)}`)).payload).toHaveLength(MAX_BYTES - 3)
  })

  it('knows that it is complete with the end marker, and not before', () => {
    const output = new ReaderOutput(MAX_BYTES)
    const whole = framed('{}\n')
    const end = whole.indexOf('END>>>') + 'END>>>'.length
    output.take(whole.slice(0, end - 1))
    expect(output.isComplete).toBe(false)
    output.take(whole.slice(end - 1))
    expect(output.isComplete).toBe(true)
  })

  it('says the end of the output when there is no answer, without what a terminal obeys', () => {
    const failure = failureOf(
      `${'x'.repeat(300)}\u001b[31msh: 1: exec: python3:\r\n not found\u0007`,
    )
    expect(failure.code).toBe('reader_failed')
    expect(failure.publicText).toMatch(
      /^the reader of the job-control host failed: x+ \[31msh: 1: exec: python3: not found$/,
    )
    expect(failure.publicText.length).toBeLessThanOrEqual(200 + 50)
  })

  it.each([
    ['nothing', ''],
    ['no end marker', framed('{}\n').replace('END', 'AND')],
    ['characters that are no base64', framed('{}\n').replace('e30K', 'e3-K')],
    ['a cut group', framed('{}\n').replace('e30K', 'e30')],
    ['no line', framed('{}')],
    ['no JSON', framed('nothing\n')],
    ['a list', framed('[1]\n')],
    ['null', framed('null\n')],
    ['more than was asked for', framed(`{}\n${'x'.repeat(MAX_BYTES - 2)}`)],
  ])('throws reader_failed for %s', (_, output) => {
    expect(failureOf(output).code).toBe('reader_failed')
  })
})
