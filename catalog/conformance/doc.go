// Package conformance checks that a messaging driver keeps its promises:
// delivery, order, redelivery, reconnecting, closing, errors and leaks, also
// while the network and the server fail. It needs the standard library only.
//
// A driver is wired with a [Driver] value of about 40 lines and run with
//
//	conformance.Run(t, driver)
//
// Every check is named after the promise that it checks and prints the promise
// when it fails. What a protocol cannot do is said in [Capabilities]; its zero
// value runs every check, and each check left out is in the [Report] with the
// reason.
//
// # Faults
//
// Every check reaches the server through a TCP proxy of its own, which can cut,
// reset, stall, delay and split what passes. Settings.URL is the proxy's
// address. A driver whose protocol sends the client elsewhere (kafka's
// advertised listeners) has to be wired so that it dials the URL's host only.
//
// # Environment
//
// ASYNCAPI_IMPL_LONG=1 runs the long forms: more messages, more cycles, longer
// outages. ASYNCAPI_IMPL_RESULTS names a directory for machine-readable
// results, one file of JSON lines for each driver and broker.
package conformance
