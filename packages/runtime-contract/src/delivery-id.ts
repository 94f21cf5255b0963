/** @module How a message is known again when it is delivered a second time (ADR-0032). */

/** Carried by every attempt to deliver one message: the same value for the same message. */
export const DELIVERY_ID_HEADER = 'x-atrium-delivery-id'

/** In the card of an agent that does what it was delivered twice only once. */
export const DELIVERY_ID_EXTENSION = 'urn:atrium:a2a:delivery-id:v1'
