// Package coder talks WebSocket with github.com/coder/websocket. The copy is
// yours to change.
package coder
