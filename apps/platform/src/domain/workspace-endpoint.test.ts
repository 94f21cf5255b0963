import { describe, expect, it } from 'vitest'
import { endpointWithinBox } from './workspace-endpoint.ts'

describe('endpointWithinBox', () => {
  it.each([
    ['http://10.1.2.3:8000', '10.1.2.3', 'http://10.1.2.3:8000/'],
    ['http://10.1.2.3', '10.1.2.3', 'http://10.1.2.3/'],
    ['http://10.1.2.3:1/base/?x=1#y', '10.1.2.3', 'http://10.1.2.3:1/base/'],
    ['http://0xa.1.2.3:9', '10.1.2.3', 'http://10.1.2.3:9/'],
    ['http://[fd00::1]:8000', 'fd00:0:0:0:0:0:0:1', 'http://[fd00::1]:8000/'],
  ])('believes %s of the box at %s', (text, address, endpoint) => {
    expect(endpointWithinBox(text, address)?.href).toBe(endpoint)
  })

  it.each([
    ['', '10.1.2.3'],
    ['10.1.2.3:8000', '10.1.2.3'],
    ['https://10.1.2.3:8000', '10.1.2.3'],
    ['ftp://10.1.2.3', '10.1.2.3'],
    ['http://10.1.2.4:8000', '10.1.2.3'],
    ['http://10.1.2.3.evil.test:8000', '10.1.2.3'],
    ['http://localhost:8000', '127.0.0.1'],
    ['http://[::ffff:10.1.2.3]:8000', '10.1.2.3'],
    ['http://user@10.1.2.3:8000', '10.1.2.3'],
    ['http://user:pw@10.1.2.3:8000', '10.1.2.3'],
    ['http://10.1.2.3:0', '10.1.2.3'],
    ['http://169.254.169.254/', ''],
    ['http://169.254.169.254/', '10.1.2.3@169.254.169.254:x'],
  ])('refuses %j of the box at %j', (text, address) => {
    expect(endpointWithinBox(text, address)).toBeUndefined()
  })
})
