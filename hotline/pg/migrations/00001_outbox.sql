-- owner: hotline/outbox (outbox, stream, reader_cursor) and hotline/pg (job_run, idempotency_key)
-- +goose Up
create table outbox (
  id      bigint generated always as identity primary key,  -- promises no order: rows commit out of order
  topics  text[] not null,
  kind    text not null,
  key     text not null,
  payload json not null,
  at      timestamptz not null default clock_timestamp()
);
create table stream (  -- written by the relay only: pos is dense and in commit order
  pos     bigint primary key,
  at      timestamptz not null,
  topics  text[] not null,
  kind    text not null,
  key     text not null,
  payload json not null
);
create table reader_cursor (
  name text primary key,
  pos  bigint not null,
  at   timestamptz not null default clock_timestamp()
);
create table job_run (
  job         text not null,
  due         timestamptz not null,
  node        text not null,
  started_at  timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  error       text,
  primary key (job, due)
);
create table idempotency_key (
  scope        text not null,
  key          text not null,
  request_hash bytea not null,
  status       int,
  response     bytea,
  at           timestamptz not null default clock_timestamp(),
  primary key (scope, key)
);
create index idempotency_key_at on idempotency_key (at);
