/** @module One bound for both ways to a workspace. */

/** A server may send several interim responses (RFC 9110 s15.2); a flood of them is an attack. */
export const MAX_INTERIM_RESPONSES = 8
