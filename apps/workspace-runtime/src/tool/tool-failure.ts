/** @module How a call of the tool ends when it does not end well. */

export const EXIT = Object.freeze({
  done: 0,
  /** The agent or the platform said no. */
  failed: 1,
  usage: 2,
  /** Taken, and not answered yet. */
  pending: 3,
  /** No such peer, or none that this workspace may talk to. */
  notFound: 4,
  /** Nobody knows whether it arrived; the same command may be given again under the same key. */
  unreachable: 5,
})

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export class ToolFailure extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, text: string, options: { readonly cause?: unknown } = {}) {
    super(text, options)
    this.name = 'ToolFailure'
    this.exitCode = exitCode
  }
}
