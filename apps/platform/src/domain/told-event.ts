/** @module An event on its way to those who follow. */

export type ToldEvent = {
  /** Its place in the order of reading; undefined for what is told and not kept. */
  readonly seq: number | undefined
  readonly type: string
  readonly workspaceId: string | null
  readonly timestamp: Date
  readonly payload: unknown
}
