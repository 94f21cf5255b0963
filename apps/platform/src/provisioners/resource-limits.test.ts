import { describe, expect, it } from 'vitest'
import { limitArguments, parseHardLimits } from './resource-limits.ts'

const unlimited = {
  nofile: Number.POSITIVE_INFINITY,
  nproc: Number.POSITIVE_INFINITY,
  fsize: Number.POSITIVE_INFINITY,
}

describe('limitArguments', () => {
  it.each([
    [1, ['--core=0:0', '--nofile=4096:4096', '--fsize=4294967296:4294967296', '--nproc=256:256']],
    [4, ['--core=0:0', '--nofile=65536:65536', '--nproc=4096:4096']],
  ])('grow with tier %i', (tier, expected) => {
    expect(limitArguments(tier, unlimited, true)).toEqual(expected)
  })

  it('takes an unknown tier for 2', () => {
    expect(limitArguments(0, unlimited, true)).toEqual(limitArguments(2, unlimited, true))
  })

  it('counts no processes of a user who has others', () => {
    expect(limitArguments(1, unlimited, false).join(' ')).not.toContain('nproc')
  })

  it('asks for no more than there is', () => {
    const hard = { ...unlimited, nofile: 1024 }
    expect(limitArguments(3, hard, false)).toContain('--nofile=1024:1024')
  })
})

describe('parseHardLimits', () => {
  it('reads the table of the kernel', () => {
    const table = [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max file size             unlimited            unlimited            bytes     ',
      'Max processes             96365                96366                processes ',
      'Max open files            1024                 524288               files     ',
    ].join('\n')
    expect(parseHardLimits(table)).toEqual({
      nofile: 524_288,
      nproc: 96_366,
      fsize: Number.POSITIVE_INFINITY,
    })
  })
})
