/** Who asks in the route-by-identity test, and what each gate says to them (H41). */
import type { Row } from './route-table.ts'

/**
 * Who asks. `revoked` was a token of the workspace that it asks for, `removed` is one of the removed
 * workspace that it asks for; `malformed` sends what the contract does not take for a bearer (3.1);
 * sessions are cookies without a bearer.
 */
export const IDENTITIES = [
  'none',
  'malformed',
  'unknown',
  'foreign',
  'own',
  'revoked',
  'removed',
  'org',
  'revoked_org',
  'admin',
  'session',
  'bad_session',
] as const
export type Identity = (typeof IDENTITIES)[number]

/** `admitted`, or the code of the refusal; every refusal here is a 401. */
type Verdicts = Readonly<Record<Identity, string>>

const allOf = (verdict: string): Verdicts =>
  Object.fromEntries(IDENTITIES.map((identity) => [identity, verdict])) as Verdicts

/** Nobody yet: only a bearer counts, and each gate says whose. */
const WORKSPACE_BEARER: Verdicts = {
  ...allOf('invalid_workspace_token'),
  none: 'missing_workspace_token',
  malformed: 'missing_workspace_token',
  session: 'missing_workspace_token',
  bad_session: 'missing_workspace_token',
}

/** Contract/platform 3.4, 2.6, 3.7 as data. */
const GATES: Readonly<Record<string, Verdicts>> = {
  public: allOf('admitted'),
  workspace: {
    ...WORKSPACE_BEARER,
    own: 'admitted',
    org: 'admitted',
    admin: 'admitted',
  },
  // The other workspace is its sibling.
  peer: {
    ...WORKSPACE_BEARER,
    foreign: 'admitted',
    own: 'admitted',
    org: 'admitted',
    admin: 'admitted',
  },
  admin: {
    ...allOf('invalid_admin_token'),
    none: 'admin_auth_required',
    malformed: 'admin_auth_required',
    session: 'admitted',
    bad_session: 'admin_auth_required',
    org: 'admitted',
    admin: 'admitted',
  },
  // An operator is nobody's agent.
  registry: {
    ...WORKSPACE_BEARER,
    own: 'admitted',
  },
  test_token: { ...allOf('admin_auth_required'), admin: 'admitted' },
}

/** `admitted`, or the code of the refusal. */
export function verdictOf(row: Row, identity: Identity): string {
  return GATES[row.gate ?? row.scope]?.[identity] ?? 'missing in GATES'
}
