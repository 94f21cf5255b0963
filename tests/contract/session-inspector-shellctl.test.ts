/** The inspector's promises about sessions, on a host that has job control and nothing else. */
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { findPython } from '../support/pseudo-terminals.ts'
import { type ShellctlScene, startShellctlScene } from '../support/session-scene.ts'
import { prepareSession, sessionInspectorContract } from './session-inspector-contract.ts'
import { sessionWeakPoints } from './session-inspector-weak-points.ts'

const python = findPython()

describe.skipIf(python === undefined)('sessions through job control', () => {
  let scene: ShellctlScene
  beforeAll(async () => {
    scene = await startShellctlScene(python ?? '')
    prepareSession(scene.sessions)
  })
  afterEach(() => scene.expectQuiet())
  afterAll(() => scene.stop())

  sessionInspectorContract(() => scene)
  sessionWeakPoints(() => scene)
})
