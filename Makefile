# Hotline 12345. `make demo` runs a city; `make test` proves everything.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
WEB := hotline/web

.PHONY: demo build web test check check-web bench prompts clean

## demo: start the city of Xuancheng with nothing set up. ARGS="--no-traffic", "--ephemeral"; HTTP_ADDR, SIP_ADDR
demo: build
	@sh configs/deploy/packages.sh demo
	@exec bin/hotline demo $(ARGS)

## build: the program with its pages
build: web
	@go build -o bin/hotline ./cmd/hotline
	@go build -o bin/callsim ./cmd/callsim

## web: the consoles' pages, built only when their sources changed
web: $(WEB)/dist/index.html

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB)/index.html $(wildcard $(WEB)/*.ts) $(shell find $(WEB)/src -type f 2>/dev/null)
	@echo "正在构建控制台 / building the consoles …"; cd $(WEB) && npm run --silent build -- --logLevel warn
	@touch $@

## test: all checks and tests, on real PostgreSQL, Redis, SIP clients and Chromium; installs what it needs
test: export CI := true
test:
	@sh configs/deploy/packages.sh test
	@$(MAKE) --no-print-directory check check-web
	@go test -race -timeout 20m ./...

## check: format, vet, lint, shape
check: web
	@test -z "$$(gofmt -l cmd configs dispatch hotline reports sip)" || { gofmt -l cmd configs dispatch hotline reports sip; echo "run gofmt -w" >&2; exit 1; }
	@go vet ./...
	@go run $(STATICCHECK) ./...
	@go test -run 'TestShape' ./cmd/hotline

check-web: web
	@! grep -q '"resolved"' $(WEB)/package-lock.json || { echo "package-lock.json names download addresses" >&2; exit 1; }
	@cd $(WEB) && npm test --silent

## bench: the hot paths, as one table with the machine's facts; about two minutes. BENCH=. runs every benchmark of those rooms
BENCH := CallsThroughQueue|OfferAnswerEnd|Relay$$|Wheel|Recorder|Submit|UnitDesk|WakeUp|FanOut|ReportToRecord|Plan|Due|Daily
BENCH_ROOMS := ./sip ./sip/media ./sip/acd ./hotline/workorder ./hotline/outbox ./hotline/console ./hotline/cdr \
	./dispatch/routing ./dispatch/workcal ./reports/compose
bench:
	@sh configs/deploy/packages.sh demo
	@go test -run '^$$' -bench '$(BENCH)' -benchtime 2s -timeout 10m $(BENCH_ROOMS) | go run ./cmd/benchtable

## prompts: make the spoken prompts again from configs/prompts/texts.yaml
prompts: build
	@sh configs/deploy/packages.sh prompts
	@bin/hotline prompts --out configs/prompts

clean:
	rm -rf bin $(WEB)/node_modules
	find $(WEB)/dist -mindepth 1 ! -name placeholder -delete
