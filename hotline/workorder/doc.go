// Package workorder owns the ledger of orders (工单): the state machine, the
// events that are its truth, and everything folded from them: the order row,
// assignments, clocks, drafts. Service is the only writer of these tables;
// httpapi, dispatch.Engine and the jobs call it, each command on the caller's
// goroutine and in one transaction with its outbox messages. It starts no
// goroutine. It may import hotline, hotline/pg and hotline/outbox; callers'
// names and numbers stay behind the interface Citizens.
//
// The file machine.go says what may happen, events.go what is written down,
// fold.go what it means, visibility.go who may see it; the rest is storage.
package workorder
