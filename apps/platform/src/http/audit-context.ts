/** @module Who asks for a change, as the audit trail names it. */
import type { Context } from 'hono'
import { auditActor } from '../domain/audit.ts'
import type { AuditContext } from '../services/audit-trail.ts'
import type { AppEnv } from './env.ts'

export function auditContext<E extends AppEnv>(c: Context<E>): AuditContext {
  return { actor: auditActor(c.get('caller')), requestId: c.get('requestId') }
}
