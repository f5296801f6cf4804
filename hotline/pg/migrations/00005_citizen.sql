-- owner: hotline/citizen
-- +goose Up
-- Callers. Names and numbers are sealed (AES-256-GCM); a number is found by
-- its HMAC. last4 is what lists show.
create table person (
    id         bigint generated always as identity primary key,
    name_enc   bytea,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table person_phone (
    phone_hmac bytea primary key,
    person_id  bigint not null references person,
    phone_enc  bytea not null,
    last4      text not null,
    created_at timestamptz not null
);

create index person_phone_person on person_phone (person_id);

-- The key the sealed columns were written with, so that a lost or swapped key
-- file is noticed at start and not at the first caller.
create table citizen_key (
    one_row     boolean primary key default true check (one_row),
    fingerprint bytea not null
);
