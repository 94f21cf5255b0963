/** @module The block that connects an external agent, shown once (contract/platform 7.2). */
import type { Secret } from '@atrium/http-kit/secret'
import type { z } from 'zod'
import {
  channelSnippet,
  connectSnippet,
  curlSnippet,
  pythonSnippet,
} from '../../domain/connection-snippets.ts'
import type { connectionBlock } from './workspace-response.wire.ts'

export type ConnectionFacts = {
  readonly platformUrl: string
  /** Goes with every request where a gateway guards the tenant (contract/platform 13.16). */
  readonly orgId: string | undefined
}

export function renderConnection(
  workspaceId: string,
  authToken: Secret,
  { platformUrl, orgId }: ConnectionFacts,
): z.input<typeof connectionBlock> {
  const facts = { platformUrl, workspaceId, orgId }
  return {
    workspace_id: workspaceId,
    platform_url: platformUrl,
    auth_token: authToken.reveal(),
    registry_endpoint: `${platformUrl}/registry/register`,
    heartbeat_endpoint: `${platformUrl}/registry/heartbeat`,
    ...(orgId === undefined ? {} : { org_id: orgId }),
    curl_register_template: curlSnippet(facts),
    python_snippet: pythonSnippet(facts),
    claude_code_channel_snippet: channelSnippet(facts),
    atrium_connect_snippet: connectSnippet(facts),
  }
}
