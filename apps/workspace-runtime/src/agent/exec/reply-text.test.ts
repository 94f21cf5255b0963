import { afterEach, describe, expect, it, vi } from 'vitest'
import { ReplyText } from './reply-text.ts'

function reply(...pieces: (string | Buffer)[]): string {
  let text = ''
  const output = new ReplyText((piece) => {
    text += piece
  })
  for (const piece of pieces) output.write(Buffer.from(piece))
  output.end()
  return text
}

describe('ReplyText', () => {
  it('drops line breaks at the end and nowhere else', () => {
    expect(reply('\none\n', '\n', 'two\r\n\n')).toBe('\none\n\ntwo')
    expect(reply('\n\n')).toBe('')
  })

  it('keeps line breaks between two pieces that were long enough to be said by themselves', () => {
    const long = 'x'.repeat(20_000)
    expect(reply(`${long}\n\n`, 'y')).toBe(`${long}\n\ny`)
  })

  it('joins characters that arrive in halves', () => {
    const bytes = Buffer.from('ü€😀')
    expect(reply(...[...bytes].map((byte) => Buffer.from([byte])))).toBe('ü€😀')
  })

  it('replaces what is not UTF-8', () => {
    expect(reply(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\uFFFDb')
  })

  it('cuts after 1 MiB and says so, once', () => {
    const text = reply('x'.repeat(1024 * 1024), 'y', 'z')
    expect(text).toBe(
      `${'x'.repeat(1024 * 1024)}\n[the output was longer than 1 MiB and was cut here]`,
    )
  })

  it('cuts in the middle of a piece', () => {
    expect(reply('x'.repeat(1024 * 1024 - 1), 'yyy')).toMatch(/xy\n\[the output/)
  })

  it('does not say that exactly 1 MiB was cut', () => {
    expect(reply('x'.repeat(1024 * 1024))).toHaveLength(1024 * 1024)
  })

  describe('over time', () => {
    afterEach(() => {
      vi.useRealTimers()
    })

    /** What is said of a dot every 100 ms for so long. */
    function dots(seconds: number): string[] {
      vi.useFakeTimers()
      const pieces: string[] = []
      const output = new ReplyText((piece) => pieces.push(piece))
      for (let tick = 0; tick < seconds * 10; tick += 1) {
        output.write(Buffer.from('.'))
        vi.advanceTimersByTime(100)
      }
      output.end()
      return pieces
    }

    it('says soon what there is', () => {
      expect(dots(3).length).toBeGreaterThan(25)
    })

    it('makes fewer pieces the longer it goes on, and loses nothing', () => {
      const pieces = dots(3_600)
      expect(pieces.length).toBeLessThan(2_500)
      expect(pieces.join('')).toBe('.'.repeat(36_000))
    })
  })
})
