// Package conformance checks that a driver keeps the promises of its contract.
package conformance
