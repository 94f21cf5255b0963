/** Reads, cleans and summarises CSV (RFC 4180). No dependencies, Node >= 20. */

/**
 * The records of a CSV text. Quoted fields may contain separators, line ends and doubled quotes; an
 * unfinished quote at the end is taken as it is.
 * @param {string} text
 * @returns {string[][]}
 */
export function parseCsv(text) {
  // One field per match: quoted or bare, and what ends it.
  const field = /(?:"((?:[^"]|"")*)"?|([^",\r\n]*))(,|\r\n|\n|\r|$)/gy
  const records = []
  let record = []
  while (field.lastIndex < text.length) {
    const match = field.exec(text)
    // A quote in the middle of a bare field is against the grammar: it is skipped.
    if (match === null) {
      throw new Error('this is not CSV: a quote stands where none may be')
    }
    record.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'))
    if (match[3] !== ',') {
      records.push(record)
      record = []
    } else if (field.lastIndex === text.length) {
      record.push('')
    }
  }
  if (record.length > 0) records.push(record)
  return records
}

/**
 * The same records as CSV with LF line ends, quoted only where needed.
 * @param {string[][]} records
 */
export function writeCsv(records) {
  const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)
  return records.map((record) => `${record.map(quote).join(',')}\n`).join('')
}

/**
 * Trims fields, drops empty and repeated records, and makes every record as long as the heading.
 * @param {string[][]} records heading first
 */
export function cleanCsv(records) {
  const [heading = [], ...rows] = records.map((record) => record.map((value) => value.trim()))
  const seen = new Set()
  const clean = []
  let droppedCount = 0
  for (const row of rows) {
    const padded = heading.map((_, column) => row[column] ?? '')
    const key = JSON.stringify(padded)
    if (padded.every((value) => value === '') || seen.has(key)) droppedCount += 1
    else clean.push(padded)
    seen.add(key)
  }
  return { heading, rows: clean, droppedCount }
}

function numbersOf(values) {
  const filled = values.filter((value) => value !== '')
  const numbers = filled.map(Number)
  return numbers.length > 0 && numbers.every(Number.isFinite) ? numbers : undefined
}

function round(value) {
  return String(Math.round(value * 100) / 100)
}

function describeColumn(name, values) {
  const missing = values.filter((value) => value === '').length
  const numbers = numbersOf(values)
  if (numbers !== undefined) {
    const sum = numbers.reduce((total, value) => total + value, 0)
    const range = `${round(Math.min(...numbers))} to ${round(Math.max(...numbers))}`
    return [name, 'number', String(missing), `${range}, mean ${round(sum / numbers.length)}`]
  }
  const distinct = new Set(values.filter((value) => value !== '')).size
  return [name, 'text', String(missing), `${distinct} different`]
}

/**
 * A Markdown table that describes each column.
 * @param {string} title
 * @param {ReturnType<typeof cleanCsv>} table
 */
export function summarise(title, { heading, rows, droppedCount }) {
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`
  const columns = heading.map((name, column) =>
    describeColumn(
      name,
      rows.map((row) => row[column]),
    ),
  )
  return [
    `# ${title}`,
    '',
    `${rows.length} rows, ${heading.length} columns; ${droppedCount} empty or repeated rows dropped.`,
    '',
    line(['column', 'kind', 'missing', 'values']),
    line(['---', '---', '---', '---']),
    ...columns.map(line),
    '',
  ].join('\n')
}
