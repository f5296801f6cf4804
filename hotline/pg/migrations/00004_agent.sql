-- Owner: hotline/agent. Seats of the hotline office and what their agents did
-- when.
-- +goose Up
create table seat (
    account_id bigint primary key,
    extension  text   not null unique check (extension ~ '^[0-9]{2,10}$'),
    realm      text   not null,
    ha1_md5    text   not null check (ha1_md5 ~ '^[0-9a-f]{32}$'),    -- RFC 7616 §3.4.2, MD5
    ha1_sha256 text   not null check (ha1_sha256 ~ '^[0-9a-f]{64}$'), -- RFC 8760, SHA-256
    groups     text[] not null
);

create table agent_state (
    account_id bigint      not null,
    from_at    timestamptz not null,
    to_at      timestamptz, -- null: the state goes on
    state      text        not null check (state in ('signed_out', 'ready', 'not_ready', 'on_break', 'reserved', 'ringing', 'talking', 'wrap_up')),
    reason     text        not null,
    primary key (account_id, from_at),
    check (to_at >= from_at)
);
create index agent_state_from on agent_state (from_at);
