/** @module What an agent's answer looks like to those who read its text only (contract/runtime 8.2). */

/** How the text of a failure begins, whatever form the answer has. */
export const AGENT_ERROR_PREFIX = 'Agent error:'
