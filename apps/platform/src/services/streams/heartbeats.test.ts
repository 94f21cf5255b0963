import { describe, expect, it } from 'vitest'
import { Heartbeats } from './heartbeats.ts'

/** A wheel that the test turns, a second at a time. */
function wheel() {
  let now = 0
  const beats = new Heartbeats(() => now)
  return {
    beats,
    turn: (seconds: number): void => {
      for (let second = 0; second < seconds; second += 1) {
        now += 1_000
        beats.tick()
      }
    },
  }
}

describe('Heartbeats', () => {
  it('beats after 15 s of silence, and again after each 15 s', () => {
    const { beats, turn } = wheel()
    let count = 0
    const pulse = beats.register(() => {
      count += 1
    })
    turn(14)
    expect(count).toBe(0)
    turn(1)
    expect(count).toBe(1)
    turn(45)
    expect(count).toBe(4)
    pulse.close()
    turn(60)
    expect(count).toBe(4)
  })

  it('counts from the last that was said', () => {
    const { beats, turn } = wheel()
    let count = 0
    const pulse = beats.register(() => {
      count += 1
    })
    for (let round = 0; round < 10; round += 1) {
      turn(10)
      pulse.touch()
    }
    expect(count).toBe(0)
    turn(16)
    expect(count).toBe(1)
    pulse.close()
  })

  it('beats for nobody who has left, whatever was said before', () => {
    const { beats, turn } = wheel()
    let count = 0
    const pulse = beats.register(() => {
      count += 1
    })
    turn(10)
    pulse.touch()
    turn(10)
    pulse.close()
    turn(60)
    expect(count).toBe(0)
  })

  it('beats for each of thousands in its own time', () => {
    const { beats, turn } = wheel()
    const counts = new Array<number>(2_000).fill(0)
    const pulses = counts.map((_, index) => {
      if (index % 200 === 0) turn(1)
      return beats.register(() => {
        counts[index] = (counts[index] ?? 0) + 1
      })
    })
    turn(150)
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(9)
    expect(Math.max(...counts)).toBeLessThanOrEqual(11)
    for (const pulse of pulses) pulse.close()
  })
})
