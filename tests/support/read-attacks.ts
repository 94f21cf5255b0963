/** @module What an agent swaps while a file is read, and what lies on both sides of the swap. */
import { dirname } from 'node:path'
import { INBOUND_SECRET_FILE } from '@atrium/path-safety/workspace-path'
import type { Attack } from './attacker.ts'
import type { RuntimeHarness } from './runtime-harness.ts'

export const INSIDE = 'inside '.repeat(100)
export const OUTSIDE = 'OUTSIDE'.repeat(100)
/** Beside the decoys, and nowhere inside. */
export const OUTSIDE_NAME = 'OUTSIDE-only'

export const READ_ATTACKS = [
  'the file with a symlink',
  'the folder with a symlink',
  'the folder above with a symlink',
  'the file with a hard link of the credential',
  'the place of its folder, out of the workspace and back',
] as const

export type ReadAttack = {
  /** On the wire; `INSIDE` lies there whenever it is not swapped. */
  readonly path: string
  readonly attack: Attack
}

/** Lays out what the attack needs, with the attacked file somewhere below the folder. */
export function prepareReadAttack(
  runtime: RuntimeHarness,
  name: (typeof READ_ATTACKS)[number],
  below = '/workspace',
): ReadAttack {
  const real = runtime.place('/outside/real.txt', INSIDE)
  const decoyFile = runtime.place('/outside/decoy/file.txt', OUTSIDE)
  runtime.place('/outside/decoy/inner/file.txt', OUTSIDE)
  for (const folder of ['decoy', 'decoy/inner']) runtime.place(`/outside/${folder}/${OUTSIDE_NAME}`)
  const decoy = runtime.local('/outside/decoy')
  const local = (path: string): string => runtime.local(`${below}/${path}`)
  const attacks: Record<typeof name, ReadAttack> = {
    'the file with a symlink': {
      path: `${below}/last/file.txt`,
      attack: { kind: 'last-link', name: local('last/file.txt'), real, decoy: decoyFile },
    },
    'the folder with a symlink': {
      path: `${below}/parent/folder/file.txt`,
      attack: { kind: 'folder-link', name: local('parent/folder'), decoy },
    },
    'the folder above with a symlink': {
      path: `${below}/above/folder/inner/file.txt`,
      attack: { kind: 'folder-link', name: local('above/folder'), decoy },
    },
    'the file with a hard link of the credential': {
      path: `${below}/inode/file.txt`,
      attack: {
        kind: 'last-inode',
        name: local('inode/file.txt'),
        real,
        decoy: runtime.local(`/configs/${INBOUND_SECRET_FILE}`),
      },
    },
    'the place of its folder, out of the workspace and back': {
      path: `${below}/moved/folder/file.txt`,
      attack: {
        kind: 'folder-move',
        name: local('moved/folder'),
        file: 'file.txt',
        outside: runtime.local('/outside/moved'),
        real,
        decoy: decoyFile,
      },
    },
  }
  runtime.place(attacks[name].path, INSIDE)
  return attacks[name]
}

/** The session's folder itself is swapped with a symlink to one that has such a file as well. */
export function prepareSessionSwap(runtime: RuntimeHarness, path: string): ReadAttack {
  runtime.place('/outside/decoy/file.txt', OUTSIDE)
  runtime.place(`/outside/decoy/${OUTSIDE_NAME}`)
  runtime.place(path, INSIDE)
  const name = runtime.local(dirname(path))
  return { path, attack: { kind: 'folder-link', name, decoy: runtime.local('/outside/decoy') } }
}
