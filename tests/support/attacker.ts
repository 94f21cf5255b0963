/**
 * @module An agent that swaps what a path means, in a tight loop, as a process of its own. Started
 * by `fork`; says how often it swapped after the first turn and when it is told to stop, and ends
 * with its parent.
 */
import { linkSync, renameSync, rmSync, symlinkSync } from 'node:fs'

/** What stands under a name in turn. Every path is absolute. */
export type Attack =
  /** A hard link of `real`, and a symlink to `decoy`. */
  | {
      readonly kind: 'last-link'
      readonly name: string
      readonly real: string
      readonly decoy: string
    }
  /** A hard link of `real`, and a hard link of `decoy`. */
  | {
      readonly kind: 'last-inode'
      readonly name: string
      readonly real: string
      readonly decoy: string
    }
  /** The folder itself, and a symlink to the folder `decoy`. */
  | { readonly kind: 'folder-link'; readonly name: string; readonly decoy: string }
  /** The folder moves to `outside`, where its file `file` is another one, and back. */
  | {
      readonly kind: 'folder-move'
      readonly name: string
      readonly file: string
      readonly outside: string
      readonly real: string
      readonly decoy: string
    }

const SWAPS_PER_TURN = 200

let count = 0
let cleared = 0
let isOver = false

/** Makes what the attack swaps with, once. */
function prepare(attack: Attack): void {
  if (attack.kind !== 'last-link' && attack.kind !== 'folder-link') return
  const link = sibling(attack.name, 'link')
  rmSync(link, { force: true })
  symlinkSync(attack.decoy, link)
}

function swap(attack: Attack): void {
  // A hard link of a symlink is a symlink; making it anew each time would be ten times slower.
  if (attack.kind === 'last-link') {
    replace(attack.name, sibling(attack.name, 'link'))
    replace(attack.name, attack.real)
  } else if (attack.kind === 'last-inode') {
    replace(attack.name, attack.decoy)
    replace(attack.name, attack.real)
  } else if (attack.kind === 'folder-link') {
    swapFolder(attack.name)
  } else {
    renameSync(attack.name, attack.outside)
    replace(`${attack.outside}/${attack.file}`, attack.decoy)
    replace(`${attack.outside}/${attack.file}`, attack.real)
    renameSync(attack.outside, attack.name)
  }
}

function sibling(name: string, purpose: string): string {
  return `${name}.${purpose}`
}

/** The name shows the source from now on; at no time is it absent. */
function replace(name: string, source: string): void {
  const prepared = sibling(name, 'prepared')
  linkSync(source, prepared)
  renameSync(prepared, name)
  // Of two links of one inode, rename leaves both.
  rmSync(prepared, { force: true })
}

function swapFolder(name: string): void {
  const parked = sibling(name, 'parked')
  const link = sibling(name, 'link')
  renameSync(name, parked)
  renameOrClear(link, name)
  renameSync(name, link)
  renameOrClear(parked, name)
}

/** A writer may have made a folder there while the name was free, and again: out of the way with it. */
function renameOrClear(from: string, to: string): void {
  for (;;) {
    try {
      renameSync(from, to)
      return
    } catch {
      cleared += 1
      renameSync(to, sibling(to, `aside-${cleared}`))
    }
  }
}

function turn(attack: Attack): void {
  for (let index = 0; index < SWAPS_PER_TURN; index += 1) {
    swap(attack)
    count += 1
  }
  if (!isOver) setImmediate(turn, attack)
}

process.once('message', (attack: Attack) => {
  process.once('message', () => {
    isOver = true
    process.send?.(count, () => process.disconnect())
  })
  process.once('disconnect', () => {
    isOver = true
  })
  prepare(attack)
  turn(attack)
  process.send?.(count)
})
