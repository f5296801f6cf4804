// Package hotline holds the words of a 12345 government hotline
// (政务服务便民热线): the nouns every room speaks (WorkOrder, Call, Unit,
// Category, Area, Agent, Assignment, Deadline, Event, Phone, Error, Clock)
// and pure look-ups over them (Directory). It imports the standard library
// only, does no I/O and starts no goroutine; its values are plain data that
// their owners pass by value.
package hotline
