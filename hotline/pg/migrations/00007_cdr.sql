-- Owner: hotline/cdr. The ledger of calls: facts as the telephone reported
-- them, and the record folded from them.
-- +goose Up
create table call (
    id               text        primary key check (id <> ''),
    person_id        bigint      not null, -- 0: number withheld or unknown
    caller_sealed    bytea,                -- the full number, encrypted; null: withheld
    caller_last4     text        not null,
    original_number  text        not null,
    line             text        not null,
    source           text        not null,
    trunk            text        not null,
    node             text        not null,
    arrived_at       timestamptz not null,
    queued_at        timestamptz,
    offered_at       timestamptz,
    answered_at      timestamptz,
    ended_at         timestamptz,
    agent_id         bigint      not null, -- who answered, or whose phone rang last; 0: nobody
    extension        text        not null,
    ended_by         text        not null,
    end_reason       text        not null,
    recording        text        not null, -- path under the recordings folder
    recording_sha256 text        not null,
    recording_ms     bigint      not null,
    updated_seq      int         not null  -- of the last fact folded in
);
create index call_arrived on call (arrived_at desc, id desc);
create index call_agent on call (agent_id, arrived_at desc, id desc);
create index call_end_reason on call (end_reason, arrived_at desc, id desc);
create index call_original on call (original_number, arrived_at desc, id desc);
create index call_source on call (source, arrived_at desc, id desc);
create index call_person on call (person_id, arrived_at desc, id desc);
create index call_open on call (node) where ended_at is null;

create table call_fact (
    call_id       text        not null references call (id),
    seq           int         not null check (seq > 0),
    kind          text        not null check (kind in ('arrived', 'greeted', 'queued', 'offered', 'refused', 'answered', 'recorded', 'ended')),
    at            timestamptz not null,
    node          text        not null,
    agent_id      bigint      not null,
    extension     text        not null,
    reason        text        not null,
    caller_sealed bytea,
    data          jsonb       not null, -- the members only some kinds have
    primary key (call_id, seq)
);
create index call_fact_agent on call_fact (agent_id, at) where agent_id <> 0;

-- v_call_figures is what other rooms may count.
create view v_call_figures as
select id as call_id, source, original_number, arrived_at, queued_at, answered_at, ended_at, end_reason, agent_id
  from call;
