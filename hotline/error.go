package hotline

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is, so that callers and the HTTP
// edge can react. The zero value is not a code.
type Code string

// The codes. Each maps to one HTTP status, chosen in hotline/httpapi.
const (
	Invalid         Code = "invalid"         // the input breaks a rule; Field names the member
	NotFound        Code = "not_found"       // no such thing, or not for this person to see
	Conflict        Code = "conflict"        // the thing changed, or is in a state that forbids the act
	Forbidden       Code = "forbidden"       // known person, not allowed
	Unauthenticated Code = "unauthenticated" // nobody is logged in
	TooMany         Code = "too_many"        // a limit per time was reached
	Unavailable     Code = "unavailable"     // a part we need is away; try again
	Internal        Code = "internal"        // our fault; the person sees nothing of it
)

// Error is a failure somebody reacts to. Message is one Chinese sentence for
// the person at the page; Err is the cause for the log and is never shown.
type Error struct {
	Code    Code
	Message string
	Field   string // path of the member at fault, as in "order.category_code"; empty when the whole is at fault
	Err     error
}

// Error returns the code, field, message and cause, for logs and tests.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Field != "" {
		s += " " + e.Field
	}
	s += ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message. A %w verb sets the cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// FieldErrorf makes an Invalid Error about one member of the input.
func FieldErrorf(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode returns the code of the first Error in err's chain, Internal for
// any other error, and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
