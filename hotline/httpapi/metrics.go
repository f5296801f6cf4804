package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hotline12345/hotline"
)

// metrics is what /metrics shows. Labels are routes, states and kinds only:
// nothing of a person.
type metrics struct {
	registry *prometheus.Registry
	http     *prometheus.HistogramVec
}

func newMetrics(a *API) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hotline_http_request_duration_seconds", Help: "Time to answer HTTP requests.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(m.http, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &gauges{a})
	return m
}

func (m *metrics) observe(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead:
	default:
		method = "other" // any text may be sent as a method
	}
	m.http.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// gauges reads the hub and the floor when the page is asked for.
type gauges struct{ a *API }

var (
	descClients = prometheus.NewDesc("hotline_ws_clients", "Consoles connected now.", nil, nil)
	descSent    = prometheus.NewDesc("hotline_ws_frames_total", "Frames queued for consoles.", nil, nil)
	descDropped = prometheus.NewDesc("hotline_ws_dropped_total", "Consoles disconnected as too slow.", nil, nil)
	descPos     = prometheus.NewDesc("hotline_stream_position", "Last stream position given out.", nil, nil)
	descEvents  = prometheus.NewDesc("hotline_events_total", "Order and call events given out since the start, by kind.", []string{"kind"}, nil)
	descWaiting = prometheus.NewDesc("hotline_floor_waiting", "Callers waiting for an agent.", nil, nil)
	descLongest = prometheus.NewDesc("hotline_floor_longest_wait_seconds", "How long the first caller has waited.", nil, nil)
	descAgents  = prometheus.NewDesc("hotline_floor_agents", "Agents by state.", []string{"state"}, nil)
	descSpool   = prometheus.NewDesc("hotline_call_facts_pending", "Call facts on the local disk that PostgreSQL does not have yet.", nil, nil)
)

// Describe lists nothing: the collector is unchecked.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect reads all gauges; a floor that does not answer is left out.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := g.a.o.Hub.Stats()
	gauge(descClients, float64(s.Clients))
	gauge(descPos, float64(s.Pos))
	counter(descSent, float64(s.Sent))
	counter(descDropped, float64(s.Dropped))
	for kind, n := range s.Kinds {
		counter(descEvents, float64(n), kind)
	}
	gauge(descSpool, float64(g.a.o.Calls.Pending()))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	f, err := g.a.o.Floor.Snapshot(ctx)
	if err != nil {
		g.a.log.Warn("floor not readable for metrics", "err", err)
		return
	}
	now, waiting, longest := g.a.o.Clock.Now(), 0, time.Duration(0)
	for _, w := range f.Waiting {
		if w.State == "waiting" || w.State == "offered" {
			waiting++
			longest = max(longest, now.Sub(w.Since))
		}
	}
	gauge(descWaiting, float64(waiting))
	gauge(descLongest, longest.Seconds())
	states := map[hotline.AgentState]int{}
	for _, one := range f.Agents {
		states[one.State]++
	}
	for state, n := range states {
		gauge(descAgents, float64(n), string(state))
	}
}
