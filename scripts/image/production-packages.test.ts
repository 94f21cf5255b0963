import { expect, it } from 'vitest'
import { productionPackages } from './production-packages.ts'

const LOCK = {
  packages: {
    '': { devDependencies: { vitest: '1' } },
    'apps/a': { dependencies: { '@x/own': '1', one: '1' }, devDependencies: { tool: '1' } },
    'packages/own': { dependencies: { two: '1' } },
    'node_modules/@x/a': { resolved: 'apps/a', link: true },
    'node_modules/@x/own': { resolved: 'packages/own', link: true },
    'node_modules/@x/other': { resolved: 'packages/other', link: true },
    'node_modules/one': {
      dependencies: { two: '2', '@types/node': '1' },
      optionalDependencies: { native: '1' },
      peerDependencies: { peer: '1', maybe: '1' },
      peerDependenciesMeta: { maybe: { optional: true } },
    },
    'node_modules/one/node_modules/two': { dependencies: { one: '1' } },
    'node_modules/two': {},
    'node_modules/peer': {},
    'node_modules/maybe': {},
    'node_modules/native': {},
    'node_modules/tool': {},
    'node_modules/vitest': {},
    'node_modules/@types/node': {},
  },
}

it('finds what an app needs as Node finds it, and nothing else', () => {
  expect(productionPackages(LOCK, 'apps/a')).toEqual({
    installed: [
      'node_modules/one',
      'node_modules/one/node_modules/two',
      'node_modules/two',
      'node_modules/peer',
    ],
    linked: [{ path: 'node_modules/@x/own', target: 'packages/own' }],
  })
})

it('says what is missing in a lock file', () => {
  const { 'node_modules/peer': _, ...packages } = LOCK.packages
  expect(() => productionPackages({ packages }, 'apps/a')).toThrow(
    'no peer, which node_modules/one',
  )
})
