-- Owner: hotline/auth. Who may work with the system, their sessions, and the
-- log of what they did.
-- +goose Up
create table account (
    id            bigint      generated always as identity primary key,
    login         text        not null unique check (login = lower(login) and login <> ''),
    name          text        not null,
    unit_code     text        not null, -- '' for accounts outside every unit
    password_hash text        not null, -- argon2id, PHC string
    created_at    timestamptz not null,
    sessions_from timestamptz not null, -- sessions begun before it are void
    disabled_at   timestamptz
);

create table account_role (
    account_id bigint not null references account (id),
    role       text   not null check (role in ('agent', 'dispatcher', 'callback', 'unit', 'leader', 'admin')),
    primary key (account_id, role)
);

create table session (
    token_hash text        primary key, -- SHA-256 of the cookie's value
    data       bytea       not null,
    expiry     timestamptz not null
);
create index session_expiry on session (expiry);

create table audit_log (
    id      bigint      generated always as identity primary key,
    at      timestamptz not null,
    actor   bigint      not null, -- account; 0 for the program itself
    ip      text        not null, -- '' when not from the network
    action  text        not null, -- "login.ok", "person.reveal"
    subject text        not null, -- "call:…", "account:7"
    detail  jsonb       not null
);
create index audit_log_actor on audit_log (actor, at desc);
create index audit_log_subject on audit_log (subject, at desc);

-- The log only grows (等级保护 三级: audit records cannot be altered).
-- +goose StatementBegin
create function audit_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is append-only';
end
$$;
-- +goose StatementEnd
create trigger audit_log_append_only before update or delete or truncate on audit_log
    for each statement execute function audit_log_is_append_only();
