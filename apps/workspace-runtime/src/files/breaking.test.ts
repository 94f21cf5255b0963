import { describe, expect, it } from 'vitest'
import { Breaking } from './breaking.ts'

describe('Breaking', () => {
  it('lets what is waited for come through', async () => {
    const breaking = new Breaking()
    expect(await breaking.wait(Promise.resolve('value'))).toBe('value')
    await expect(breaking.wait(Promise.reject(new Error('own')))).rejects.toThrow('own')
    expect(() => breaking.throwIfBroken()).not.toThrow()
  })

  it('ends all waiting with the first reason, now and later', async () => {
    const breaking = new Breaking()
    const waiting = [0, 1].map(() => breaking.wait(Promise.withResolvers<void>().promise))
    breaking.break(new Error('first'))
    breaking.break(new Error('second'))
    for (const one of waiting) await expect(one).rejects.toThrow('first')
    await expect(breaking.wait(Promise.resolve('late'))).rejects.toThrow('first')
    expect(() => breaking.throwIfBroken()).toThrow('first')
  })

  it('takes a failure that comes after the end for nobody', async () => {
    const breaking = new Breaking()
    const late = Promise.withResolvers<void>()
    const waiting = breaking.wait(late.promise)
    breaking.break(new Error('first'))
    late.reject(new Error('late'))
    await expect(waiting).rejects.toThrow('first')
  })
})
