/** @module The progress bar of a transfer: on standard error, for a person, or not at all. */
import { Presets, SingleBar } from 'cli-progress'
import { printableLine } from './printable.ts'
import { formatBytes } from './table.ts'
import type { Terminal } from './terminal.ts'

export type Progress = {
  /** Bytes moved so far, counted from the beginning of the file. */
  update(bytes: number): void
  stop(): void
}

const SILENT: Progress = {
  update: () => undefined,
  stop: () => undefined,
}

const WITH_TOTAL = '{label} {bar} {percentage}% {moved} of {size}, {eta_formatted} left'
const WITHOUT_TOTAL = '{label} {moved}, {duration_formatted}'

/**
 * Starts a bar when somebody can see it (see `Terminal.isProgressWelcome`); otherwise returns one
 * that does nothing, as it does for nothing at all. Where the total is unknown the bytes are counted.
 */
export function startProgress(
  terminal: Terminal,
  label: string,
  totalBytes: number | undefined,
): Progress {
  if (!terminal.isProgressWelcome || totalBytes === 0) return SILENT
  const bar = new SingleBar(
    {
      stream: terminal.stderr,
      format: totalBytes === undefined ? WITHOUT_TOTAL : WITH_TOTAL,
      barsize: 28,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      // Ours ends the process; the library's own SIGINT hook would fight with it.
      gracefulExit: false,
    },
    Presets.shades_classic,
  )
  const size = formatBytes(totalBytes ?? 0)
  bar.start(totalBytes ?? Number.MAX_SAFE_INTEGER, 0, {
    label: printableLine(label),
    moved: formatBytes(0),
    size,
  })
  return {
    update: (bytes) => bar.update(bytes, { moved: formatBytes(bytes) }),
    stop: () => bar.stop(),
  }
}
