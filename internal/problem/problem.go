// Package problem is the one error type that reaches the user: what was wrong,
// the next step, a stable code for programs and the exit status.
package problem

import "fmt"

// Exit statuses of the command.
const (
	ExitFailed      = 1 // nothing was changed
	ExitUsage       = 2 // unknown command, flag, driver or value
	ExitFound       = 3 // a check found something
	ExitConflict    = 4 // needs a decision of the user's
	ExitInterrupted = 130
)

// Codes name the kinds of failure in --json. They never change.
const (
	Usage         = "usage"
	UnknownDriver = "unknown_driver"
	Exists        = "exists"
	NotAModule    = "not_a_module"
	BadModule     = "bad_module"
	BadTarget     = "bad_target"
	BadManifest   = "bad_manifest"
	OutsideRoot   = "outside_root"
	ReadOnly      = "read_only"
	Busy          = "busy"
	Interrupted   = "interrupted"
	Deps          = "deps"
	NotEjected    = "not_ejected"
	Modified      = "modified"
	Conflict      = "conflict"
	NoBase        = "no_base"
	NoUndo        = "no_undo"
	NoGit         = "no_git"
	Found         = "found"
	BadDocument   = "bad_document"
	Internal      = "internal"
)

// Codes are all of them.
var Codes = []string{
	Usage, UnknownDriver, Exists, NotAModule, BadModule, BadTarget, BadManifest, OutsideRoot, ReadOnly, Busy, Interrupted,
	Deps, NotEjected, Modified, Conflict, NoBase, NoUndo, NoGit, Found, BadDocument, Internal,
}

// Error is a failure as the user sees it.
type Error struct {
	Code    string
	Exit    int
	Message string
	Hint    string   // the next step, may be empty
	Files   []string // the files it is about, may be empty
	Err     error    // the cause, may be nil
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error with exit status 1.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Exit: ExitFailed, Message: fmt.Sprintf(format, args...)}
}

// NewUsage makes an Error with exit status 2.
func NewUsage(code, format string, args ...any) *Error {
	return &Error{Code: code, Exit: ExitUsage, Message: fmt.Sprintf(format, args...)}
}

// NewConflict makes an Error with exit status 4.
func NewConflict(files []string, format string, args ...any) *Error {
	return &Error{Code: Exists, Exit: ExitConflict, Message: fmt.Sprintf(format, args...), Files: files}
}

// NewFound makes an Error with exit status 3.
func NewFound(files []string, format string, args ...any) *Error {
	return &Error{Code: Found, Exit: ExitFound, Message: fmt.Sprintf(format, args...), Files: files}
}

// WithHint adds the next step.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Because adds the cause.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}
