import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ALLOWED_ROOTS,
  FORMER_INBOUND_SECRET_FILE,
  isHiddenUploadTemporary,
  isSecretFile,
  MAX_PATH_BYTES,
  MAX_SEGMENT_BYTES,
  parseWorkspacePath,
  UPLOAD_RECORD_NAME,
  UPLOAD_TEMPORARY_NAME,
  uploadRecordName,
  uploadTemporaryName,
  type WorkspacePath,
} from './workspace-path.ts'

/** `ok` or the refusal's code. */
function verdictOf(...values: string[]): string {
  const verdict = parseWorkspacePath(values)
  return verdict.ok ? 'ok' : verdict.code
}

function parsed(text: string): WorkspacePath {
  const verdict = parseWorkspacePath([text])
  if (!verdict.ok) throw new Error(`${JSON.stringify(text)} was refused: ${verdict.code}`)
  return verdict.path
}

const byteLength = (text: string): number => new TextEncoder().encode(text).byteLength

describe('parseWorkspacePath', () => {
  describe('accepts', () => {
    it.each([
      '/workspace/foo.txt',
      '/configs/config.yaml',
      '/home/agent/x',
      '/plugins/a/b',
      '/workspace/a..b.txt',
      '/workspace/...',
      '/workspace/..a/b..',
      '/workspace/.molecule/chat-uploads/0-x',
      '/workspace/%2e%2e/passwd',
      '/workspace/a b+c&d#e?f;g',
      '/workspace/back\\slash',
      '/workspace/報告書.pdf',
      '/workspace/e\u0301.txt',
      '/workspace/workspace',
      '/configs/.auth_token',
    ])('%j', (text) => {
      expect(verdictOf(text)).toBe('ok')
    })

    it('splits into the root and the segments below it, and keeps the text as it was', () => {
      const path = parsed('/home/agent/e\u0301.txt')
      expect(path.root).toBe('home')
      expect(path.segments).toEqual(['agent', 'e\u0301.txt'])
      expect(path.text).toBe('/home/agent/e\u0301.txt')
    })

    it('a segment of exactly 255 bytes and a path of exactly 4095', () => {
      expect(verdictOf(`/workspace/${'a'.repeat(MAX_SEGMENT_BYTES)}`)).toBe('ok')
      const text = `/workspace/${'abcdefg/'.repeat(510)}abcd`
      expect(byteLength(text)).toBe(MAX_PATH_BYTES)
      expect(verdictOf(text)).toBe('ok')
    })
  })

  describe('refuses', () => {
    it.each([
      ['no value at all', [], 'path_required'],
      ['an empty value', [''], 'path_required'],
      ['an empty first of two', ['', '/workspace/a'], 'path_required'],
      ['a repeated parameter', ['/workspace/a', '/workspace/a'], 'invalid_path'],
      ['a repeated parameter, before the value is looked at', ['a', 'b'], 'invalid_path'],
      ['a relative path', ['workspace/foo'], 'path_not_absolute'],
      ['a dot path', ['./foo'], 'path_not_absolute'],
      ['a leading space', [' /workspace/foo'], 'path_not_absolute'],
      ['a leading backslash', ['\\workspace\\foo'], 'path_not_absolute'],
      ['a drive letter', ['C:/workspace/foo'], 'path_not_absolute'],
      ['a relative path with a NUL', ['foo\0'], 'path_not_absolute'],
      ['another root', ['/etc/passwd'], 'path_outside_roots'],
      ['a root that only starts alike', ['/workspaceX/foo'], 'path_outside_roots'],
      ['a home that is not ours', ['/root/.ssh/id'], 'path_outside_roots'],
      ['two leading slashes', ['//workspace/foo'], 'path_outside_roots'],
      ['the slash', ['/'], 'path_outside_roots'],
      ['another case', ['/Workspace/foo'], 'path_outside_roots'],
      ['a way round into a root', ['/etc/../workspace/foo'], 'path_outside_roots'],
      ['a control character elsewhere', ['/etc/\npasswd'], 'path_outside_roots'],
      ['a way out', ['/workspace/../etc/passwd'], 'invalid_path'],
      ['a way out and back', ['/workspace/../workspace/foo'], 'invalid_path'],
      ['a way out at the end', ['/workspace/a/..'], 'invalid_path'],
      ['a dot segment', ['/workspace/./foo'], 'invalid_path'],
      ['an empty segment', ['/workspace//foo'], 'invalid_path'],
      ['a trailing slash', ['/workspace/foo/'], 'invalid_path'],
      ['a root with a trailing slash', ['/workspace/'], 'invalid_path'],
      ['a NUL', ['/workspace/foo\0.txt'], 'invalid_path'],
      ['CR and LF', ['/workspace/a\r\nb'], 'invalid_path'],
      ['an escape', ['/workspace/\u001b[2J'], 'invalid_path'],
      ['DEL', ['/workspace/a\u007f'], 'invalid_path'],
      ['a segment of 256 bytes', [`/workspace/${'a'.repeat(256)}`], 'invalid_path'],
      ['a segment of 86 three-byte characters', [`/workspace/${'字'.repeat(86)}`], 'invalid_path'],
      ['a path of 4096 bytes', [`/workspace/${'abcdefg/'.repeat(510)}abcde`], 'invalid_path'],
    ])('%s', (_case, values, code) => {
      expect(verdictOf(...values)).toBe(code)
    })

    it.each(ALLOWED_ROOTS)('the root /%s itself, as what it is: not a regular file', (root) => {
      expect(verdictOf(`/${root}`)).toBe('not_a_regular_file')
    })
  })

  describe('for any input', () => {
    const anySegment = fc.oneof(
      fc.constantFrom('', '.', '..', '...', 'a..b', 'a', '\u0000', 'a\nb', '字'.repeat(85), 'x '),
      fc.string({ unit: 'binary', maxLength: 300 }).filter((text) => !text.includes('/')),
    )

    it('accepts exactly when every segment is legal', () => {
      const property = fc.property(
        fc.constantFrom(...ALLOWED_ROOTS),
        fc.array(anySegment, { minLength: 1, maxLength: 20 }),
        (root, segments) => {
          const text = `/${root}/${segments.join('/')}`
          const isLegal =
            byteLength(text) <= 4095 &&
            segments.every(
              (segment) =>
                !['', '.', '..'].includes(segment) &&
                byteLength(segment) <= 255 &&
                [...segment].every((char) => char >= ' ' && char !== '\u007f'),
            )
          expect(verdictOf(text)).toBe(isLegal ? 'ok' : 'invalid_path')
        },
      )
      fc.assert(property, { numRuns: 2_000 })
    })

    it('gives back segments that make up the path again', () => {
      const property = fc.property(
        fc.constantFrom(...ALLOWED_ROOTS),
        fc.array(anySegment, { minLength: 1, maxLength: 6 }),
        (root, segments) => {
          const verdict = parseWorkspacePath([`/${root}/${segments.join('/')}`])
          if (!verdict.ok) return
          const { path } = verdict
          expect(`/${path.root}/${path.segments.join('/')}`).toBe(path.text)
        },
      )
      fc.assert(property)
    })

    it('never throws', () => {
      const lone = fc.constantFrom('\ud800', '/workspace/\udfff', '/workspace/a\ud83d')
      const value = fc.oneof(fc.string({ unit: 'binary' }), lone)
      fc.assert(fc.property(fc.array(value), (values) => void parseWorkspacePath(values)))
    })
  })
})

describe('isSecretFile', () => {
  it.each([
    '/configs/.auth_token',
    '/configs/.auth-token',
    '/configs/.platform_inbound_secret',
    '/configs/.platform_inbound_secret.tmp',
    `/configs/${FORMER_INBOUND_SECRET_FILE}`,
    '/configs/.auth_token.1f2e.tmp',
    '/configs/.auth_token~',
    '/configs/.auth_token::$DATA',
    '/configs/.auth_token/x',
    '/configs/.AUTH_TOKEN',
    '/configs/.Platform_Inbound_Secret',
    '/configs/.auth_to\u212aen',
    '/configs/.platform_inbound_\u017fecret',
    '/configs/．ａｕｔｈ＿ｔｏｋｅｎ',
    '/configs/.auth_to\u{1d40a}en',
    '/configs/.au\u200cth_token',
    '/configs/\ufeff.auth_token',
  ])('knows %j', (text) => {
    expect(isSecretFile(parsed(text))).toBe(true)
  })

  it.each([
    '/configs/config.yaml',
    '/configs/.auth',
    '/configs/auth_token',
    '/configs/sub/.auth_token',
    '/workspace/.auth_token',
    '/home/configs/.auth_token',
  ])('lets %j pass', (text) => {
    expect(isSecretFile(parsed(text))).toBe(false)
  })

  it('knows every case and every ignorable character anywhere in a name', () => {
    const name = '.platform_inbound_secret'
    const spelling = fc
      .tuple(
        fc.array(fc.boolean(), { minLength: name.length, maxLength: name.length }),
        fc.nat({ max: name.length }),
        fc.constantFrom('', '\u00ad', '\u200b', '\u200d', '\u2060', '\ufe0f', '\u{e0041}'),
      )
      .map(([upper, at, ignorable]) => {
        const cased = [...name].map((char, i) => (upper[i] === true ? char.toUpperCase() : char))
        return [...cased.slice(0, at), ignorable, ...cased.slice(at)].join('')
      })
    fc.assert(
      fc.property(spelling, (spelled) => {
        expect(isSecretFile(parsed(`/configs/${spelled}`))).toBe(true)
      }),
    )
  })
})

describe('isHiddenUploadTemporary', () => {
  it('hides what an upload is made under, and tells its two kinds apart', () => {
    const id = '0123456789abcdef01234567'
    const names = [uploadTemporaryName(id), uploadRecordName(id)]
    expect(names.map((name) => isHiddenUploadTemporary(parsed(`/home/${name}`)))).toEqual([
      true,
      true,
    ])
    expect(names.map((name) => UPLOAD_TEMPORARY_NAME.test(name))).toEqual([true, false])
    expect(names.map((name) => UPLOAD_RECORD_NAME.test(name))).toEqual([false, true])
  })

  it.each([
    '/workspace/.molecule/chat-uploads/.up-0123456789abcdef01234567.part',
    '/home/.up-0123456789abcdef01234567.part',
    '/workspace/.UP-0123456789ABCDEF01234567.part',
    '/workspace/.molecule/chat-uploads/.up-0123456789abcdef01234567.list',
  ])('hides %j', (text) => {
    expect(isHiddenUploadTemporary(parsed(text))).toBe(true)
  })

  it.each([
    '/workspace/.up-0123456789abcdef0123456.part',
    '/workspace/.up-0123456789abcdef01234567.part.txt',
    '/workspace/x.up-0123456789abcdef01234567.part',
    '/workspace/.up-report.part',
  ])('shows %j', (text) => {
    expect(isHiddenUploadTemporary(parsed(text))).toBe(false)
  })
})
