/** Decodes, shrinks and encodes PNG images (W3C PNG, third edition) with zlib alone. */
import { deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const MAX_PIXELS = 50_000_000
/** Samples per pixel by colour type; palettes (3) hold one index. */
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0)
  return value
})

function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** The chunks of a PNG file in order; throws when it is none or is damaged. */
function readChunks(file) {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error('this is not a PNG file')
  const chunks = []
  let offset = 8
  while (offset + 12 <= file.length) {
    const length = file.readUInt32BE(offset)
    const body = file.subarray(offset + 4, offset + 8 + length)
    if (offset + 12 + length > file.length) throw new Error('the image ends too early')
    if (crc32(body) !== file.readUInt32BE(offset + 8 + length)) {
      throw new Error('the image is damaged: a checksum differs')
    }
    chunks.push({ type: body.toString('latin1', 0, 4), data: body.subarray(4) })
    offset += 12 + length
  }
  return chunks
}

function paeth(left, up, upLeft) {
  const estimate = left + up - upLeft
  const distances = [left, up, upLeft].map((value) => Math.abs(estimate - value))
  if (distances[0] <= distances[1] && distances[0] <= distances[2]) return left
  return distances[1] <= distances[2] ? up : upLeft
}

function predictor(filter, [left, up, upLeft]) {
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return (left + up) >> 1
  return filter === 4 ? paeth(left, up, upLeft) : 0
}

/** Reverses the line filters (section 9.2). */
function unfilter(raw, { rowBytes, height, step }) {
  const out = Buffer.alloc(rowBytes * height)
  let above = Buffer.alloc(rowBytes)
  for (let y = 0; y < height; y += 1) {
    const filtered = raw.subarray(y * (rowBytes + 1), (y + 1) * (rowBytes + 1))
    const line = out.subarray(y * rowBytes, (y + 1) * rowBytes)
    for (let x = 0; x < rowBytes; x += 1) {
      // What would stand left of the first pixel counts as zero.
      const neighbours = [line[x - step] ?? 0, above[x], above[x - step] ?? 0]
      line[x] = filtered[x + 1] + predictor(filtered[0], neighbours)
    }
    above = line
  }
  return out
}

function toRgba(samples, header, { palette, alpha }) {
  const count = header.width * header.height
  const rgba = Buffer.alloc(count * 4, 255)
  const { colorType } = header
  for (let pixel = 0; pixel < count; pixel += 1) {
    const from = pixel * CHANNELS[colorType]
    const to = pixel * 4
    if (colorType === 3) {
      const index = samples[from]
      palette.copy(rgba, to, index * 3, index * 3 + 3)
      rgba[to + 3] = alpha?.[index] ?? 255
    } else if (colorType === 2 || colorType === 6) {
      samples.copy(rgba, to, from, from + CHANNELS[colorType])
    } else {
      rgba.fill(samples[from], to, to + 3)
      if (colorType === 4) rgba[to + 3] = samples[from + 1]
    }
  }
  return rgba
}

/**
 * What the header says: enough for a description, whatever the image uses.
 * @param {Buffer} file
 */
export function readPngHeader(file) {
  const header = readChunks(file).find((chunk) => chunk.type === 'IHDR')?.data
  if (header === undefined || header.length !== 13) throw new Error('the image has no header')
  return {
    width: header.readUInt32BE(0),
    height: header.readUInt32BE(4),
    bitDepth: header[8],
    colorType: header[9],
    isInterlaced: header[12] !== 0,
  }
}

/**
 * The pixels as RGBA. Throws for what this small decoder leaves out: depths other than 8 bits,
 * interlacing, and images above 50 million pixels.
 * @param {Buffer} file
 */
export function decodePng(file) {
  const header = readPngHeader(file)
  const { width, height, bitDepth, colorType, isInterlaced } = header
  if (bitDepth !== 8 || isInterlaced || !(colorType in CHANNELS)) {
    throw new Error('only 8-bit images without interlacing are decoded here')
  }
  if (width * height > MAX_PIXELS) throw new Error('the image is too large')
  const chunks = readChunks(file)
  const find = (type) => chunks.find((chunk) => chunk.type === type)?.data
  const compressed = chunks.filter((chunk) => chunk.type === 'IDAT').map((chunk) => chunk.data)
  const rowBytes = width * CHANNELS[colorType]
  const expected = (rowBytes + 1) * height
  const raw = inflateSync(Buffer.concat(compressed), { maxOutputLength: expected })
  if (raw.length !== expected) throw new Error('the image ends too early')
  const samples = unfilter(raw, { rowBytes, height, step: CHANNELS[colorType] })
  const palette = find('PLTE')
  if (colorType === 3 && palette === undefined) throw new Error('the image has no palette')
  return { width, height, rgba: toRgba(samples, header, { palette, alpha: find('tRNS') }) }
}

/**
 * An image of at most `maxSide` pixels in each direction; each new pixel is the mean of the old
 * ones that it covers.
 */
export function shrink({ width, height, rgba }, maxSide) {
  const scale = Math.max(1, width / maxSide, height / maxSide)
  const newWidth = Math.max(1, Math.round(width / scale))
  const newHeight = Math.max(1, Math.round(height / scale))
  const out = Buffer.alloc(newWidth * newHeight * 4)
  for (let y = 0; y < newHeight; y += 1) {
    const rows = [Math.floor((y * height) / newHeight), Math.ceil(((y + 1) * height) / newHeight)]
    for (let x = 0; x < newWidth; x += 1) {
      const columns = [Math.floor((x * width) / newWidth), Math.ceil(((x + 1) * width) / newWidth)]
      const mean = meanColour({ rgba, width }, rows, columns)
      out.set(mean, (y * newWidth + x) * 4)
    }
  }
  return { width: newWidth, height: newHeight, rgba: out }
}

function meanColour({ rgba, width }, [top, bottom], [left, right]) {
  const sums = [0, 0, 0, 0]
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      for (let channel = 0; channel < 4; channel += 1) {
        sums[channel] += rgba[(y * width + x) * 4 + channel]
      }
    }
  }
  const count = (bottom - top) * (right - left)
  return sums.map((sum) => Math.round(sum / count))
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length, 0)
  out.write(type, 4, 'latin1')
  data.copy(out, 8)
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length)
  return out
}

/** A PNG file of RGBA pixels. */
export function encodePng({ width, height, rgba }) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 6, 0, 0, 0], 8)
  const raw = Buffer.alloc((width * 4 + 1) * height)
  for (let y = 0; y < height; y += 1) {
    // Filter type 2 (up): the difference to the line above compresses well for most pictures.
    raw[y * (width * 4 + 1)] = y === 0 ? 0 : 2
    for (let x = 0; x < width * 4; x += 1) {
      const up = y === 0 ? 0 : rgba[(y - 1) * width * 4 + x]
      raw[y * (width * 4 + 1) + 1 + x] = rgba[y * width * 4 + x] - up
    }
  }
  const body = [
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(raw)),
    chunk('IEND', Buffer.alloc(0)),
  ]
  return Buffer.concat([SIGNATURE, ...body])
}
