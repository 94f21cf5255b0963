/** @module What the bench found, as rows: one for people, the same for `--json`. */

export type Row = {
  readonly work: string
  readonly unit: 'MB/s' | 'MiB' | 'KiB' | 'beats/s' | 'beats/cpu-s' | 'msg/s' | 'ms' | '% of a core'
  readonly atrium: number
  /** The peer in the same interleaved run; absent without a peer, or where there is none. */
  readonly peer?: number | undefined
  /** Of `atrium / peer` at least, or of `atrium` itself at most. */
  readonly target?: { readonly atLeastRatio: number } | { readonly atMost: number }
}

export function ratioOf(row: Row): number | undefined {
  return row.peer === undefined ? undefined : row.atrium / row.peer
}

/** Whether the target was met; undefined where none is set or there was nothing to compare with. */
export function isMet(row: Row): boolean | undefined {
  if (row.target === undefined) return undefined
  if ('atMost' in row.target) return row.atrium <= row.target.atMost
  const ratio = ratioOf(row)
  return ratio === undefined ? undefined : ratio >= row.target.atLeastRatio
}

const COLUMNS = ['work', 'atrium', 'peer', 'ratio', 'target', ''] as const

/** An aligned table; the last column says what was missed. */
export function renderTable(rows: readonly Row[]): string {
  const lines = [[...COLUMNS], ...rows.map(cells)]
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cells(row: Row): string[] {
  const ratio = ratioOf(row)
  return [
    `${row.work} (${row.unit})`,
    number(row.atrium),
    row.peer === undefined ? '-' : number(row.peer),
    ratio === undefined ? '-' : ratio.toFixed(2),
    target(row),
    isMet(row) === false ? 'MISSED' : '',
  ]
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1)
}

function target({ target: wanted }: Row): string {
  if (wanted === undefined) return '-'
  return 'atMost' in wanted ? `<= ${wanted.atMost}` : `>= ${wanted.atLeastRatio}x`
}
