/** @module What a command says: results on standard output, everything else on standard error. */
import type { Writable } from 'node:stream'
import { printable, printableJson, printableLine } from './printable.ts'

export type OutputStream = Writable & { readonly isTTY?: boolean }

export type TerminalOptions = {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly isJson: boolean
  readonly isQuiet: boolean
}

/**
 * With `--json` standard output carries JSON documents and nothing else. Text from a workspace is
 * stripped of control sequences when standard output is a terminal and passed as it is otherwise:
 * a pipe wants the bytes. Standard error is for people and is always stripped.
 */
export class Terminal {
  readonly isJson: boolean
  readonly isQuiet: boolean
  readonly stdout: OutputStream
  readonly stderr: OutputStream

  constructor(options: TerminalOptions) {
    this.stdout = options.stdout
    this.stderr = options.stderr
    this.isJson = options.isJson
    this.isQuiet = options.isQuiet
  }

  /** Whether a moving progress display may be drawn on standard error. */
  get isProgressWelcome(): boolean {
    return this.stderr.isTTY === true && !this.isQuiet && !this.isJson
  }

  /** One JSON document, the result of a command; nothing without `--json`. */
  json(value: unknown): void {
    if (this.isJson) this.stdout.write(`${printableJson(JSON.stringify(value, null, 2))}\n`)
  }

  /** One JSON document on one line, for results that arrive bit by bit; nothing without `--json`. */
  jsonLine(value: unknown): void {
    if (this.isJson) this.stdout.write(`${printableJson(JSON.stringify(value))}\n`)
  }

  /** A result for people, made of our own words and harmless values. */
  line(text: string): void {
    if (!this.isJson) this.stdout.write(`${text}\n`)
  }

  /** Text from a workspace as a result, without a line end added. */
  foreign(text: string): void {
    if (!this.isJson) this.stdout.write(this.stdout.isTTY === true ? printable(text) : text)
  }

  /** Bytes as a result, made harmless by whoever wrote them where a terminal shows them. */
  bytes(result: Uint8Array): void {
    if (!this.isJson) this.stdout.write(result)
  }

  /** Resolves when results are out, or cannot be written: those that come in pieces wait for it. */
  async written(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.stdout.write('', () => resolve())
    })
  }

  /** Something about the progress of the work; silent with `--quiet` and with `--json`. */
  notice(text: string): void {
    if (!this.isQuiet && !this.isJson) this.stderr.write(`${printableLine(text)}\n`)
  }

  /** Something that the user has to know, whatever the flags say. */
  warning(text: string): void {
    this.stderr.write(`atrium: ${printableLine(text)}\n`)
  }
}
