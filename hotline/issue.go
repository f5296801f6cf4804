package hotline

import (
	"encoding/json"
	"time"
)

// Issue is one document of the hotline office (期): a daily summary. Its
// figures and page are frozen when Final is true.
type Issue struct {
	ID      int64           `json:"id,string"`
	Kind    string          `json:"kind"` // "daily"
	Date    Date            `json:"date"`
	Title   string          `json:"title"`  // "宣城市12345政务服务便民热线每日汇总"
	Number  string          `json:"number"` // "〔2026〕第 327 期"
	MadeAt  time.Time       `json:"made_at"`
	Final   bool            `json:"final"`             // its day was over; it never changes again
	Pos     int64           `json:"as_of_pos"`         // stream position the figures were read at
	Figures json.RawMessage `json:"figures,omitempty"` // as stored; nil in lists
	HTML    string          `json:"-"`                 // the printed form, a self-contained page; "" in lists
}
