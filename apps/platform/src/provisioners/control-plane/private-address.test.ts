import { describe, expect, it } from 'vitest'
import { requirePrivateAddress } from './private-address.ts'

const ELSEWHERE = 'https://control-plane.example'
const refused = expect.objectContaining({ code: 'control_plane_failed' })

describe('requirePrivateAddress', () => {
  it.each(['10.1.2.3', '172.16.0.9', '192.168.7.7', '100.64.0.1', 'fd00::7'])(
    'accepts a machine at %s',
    (address) => {
      expect(() => requirePrivateAddress(address, ELSEWHERE)).not.toThrow()
    },
  )

  it.each(['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1'])(
    'refuses a machine at %s, which is the platform itself, unless the control plane is there too',
    (address) => {
      expect(() => requirePrivateAddress(address, ELSEWHERE)).toThrow(refused)
      expect(() => requirePrivateAddress(address, 'http://10.0.0.1:8000')).toThrow(refused)
      for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
        expect(() => requirePrivateAddress(address, `http://${host}:8000`)).not.toThrow()
      }
    },
  )
})
