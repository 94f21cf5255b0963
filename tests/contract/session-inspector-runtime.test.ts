/** The inspector's promises about sessions, where a runtime of ours answers. */
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { type SessionScene, startRuntimeScene } from '../support/session-scene.ts'
import { prepareSession, sessionInspectorContract } from './session-inspector-contract.ts'
import { sessionWeakPoints } from './session-inspector-weak-points.ts'

describe('sessions through a runtime', () => {
  let scene: SessionScene
  beforeAll(async () => {
    scene = await startRuntimeScene()
    prepareSession(scene.sessions)
  })
  afterEach(() => scene.expectQuiet())
  afterAll(() => scene.stop())

  sessionInspectorContract(() => scene)
  sessionWeakPoints(() => scene)
})
