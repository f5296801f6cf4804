package outbox

// The statements whose plans and transactions the tests look at.
const (
	SinceAll      = sinceAll
	SinceTopics   = sinceTopics
	MoveOutbox    = moveOutbox
	ScanWindow    = scanWindow
	StreamChannel = streamChannel
)
