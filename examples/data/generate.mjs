/**
 * Writes the two sample files beside it. They are committed; this is where they come from. The same
 * seed makes the same bytes, so `node examples/data/generate.mjs` changes nothing.
 */
import { writeFile } from 'node:fs/promises'
import { encodePng } from '../csv-report/png.mjs'

/** A small generator of repeatable numbers in [0, 1) (mulberry32). */
function seeded(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const STATIONS = ['Zürich', 'Tromsø', '東京', 'São Paulo', '"Old" Harbour, North', 'Reykjavík']

/** Half-hourly readings of six stations, with the faults that measured data has. */
function measurements() {
  const random = seeded(20261121)
  const lines = ['time,station,temperature_c,humidity_percent,note']
  for (let half = 0; half < 336; half += 1) {
    const time = new Date(Date.UTC(2026, 2, 1) + half * 1_800_000).toISOString().slice(0, 16)
    STATIONS.forEach((station, index) => {
      const wave = Math.sin(((half % 48) / 48) * 2 * Math.PI - 2)
      const temperature =
        random() < 0.02 ? '' : (8 * index - 6 + 7 * wave + random() * 2).toFixed(1)
      const humidity = Math.round(55 - 20 * wave + random() * 10)
      const note = random() < 0.01 ? '"sensor cleaned,\nvalues corrected"' : ''
      const name = /[",]/.test(station) ? `"${station.replaceAll('"', '""')}"` : station
      const line = `${time},${name}, ${temperature} ,${humidity},${note}`
      lines.push(line)
      if (random() < 0.01) lines.push(line)
    })
    if (half % 48 === 47) lines.push('')
  }
  return `${lines.join('\r\n')}\r\n`
}

/** A picture with smooth and with sharp parts: a sky, a sun, and hills. */
function landscape(width, height) {
  const rgba = Buffer.alloc(width * height * 4, 255)
  const random = seeded(7)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const hill = height * (0.7 + 0.08 * Math.sin(x / 47) + 0.05 * Math.sin(x / 19 + 2))
      const isSun = Math.hypot(x - width * 0.72, y - height * 0.3) < height * 0.11
      const sky = [80 + (y / height) * 120, 130 + (y / height) * 90, 220]
      const ground = [60 + random() * 12, 110 + (y - hill) * 0.3 + random() * 12, 55]
      const above = isSun ? [255, 224, 130] : sky
      const colour = y > hill ? ground : above
      rgba.set(colour.map(Math.round), (y * width + x) * 4)
    }
  }
  return { width, height, rgba }
}

await writeFile(new URL('measurements.csv', import.meta.url), measurements())
await writeFile(new URL('landscape.png', import.meta.url), encodePng(landscape(640, 400)))
