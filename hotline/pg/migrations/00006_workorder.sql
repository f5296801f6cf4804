-- owner: hotline/workorder
-- +goose Up
-- The day's counter of order numbers.
create table order_no (
    day integer primary key, -- yyyymmdd
    n   integer not null
);

-- The projection of order_event. units, clocks and texts stand in it so that
-- one query fills a list.
create table work_order (
    id              bigint primary key, -- yyyymmdd * 10^7 + n
    version         integer not null,   -- seq of the last event
    state           text not null check (state in ('pending_dispatch', 'dispatched', 'signed', 'pending_callback', 'closed', 'direct_closed')),
    demand_type     text not null,
    source          text not null,
    category_code   text collate "C" not null,
    area_code       text collate "C" not null,
    address         text not null,
    title           text not null,
    content         text not null,
    urgency         smallint not null check (urgency between 1 and 3),
    confidentiality text not null check (confidentiality in ('open', 'hidden', 'anonymous')),
    person_id       bigint not null,
    caller_last4    text not null,
    call_id         text not null,
    agent_id        bigint not null,
    unmatched       boolean not null,
    assignments     jsonb not null,
    deadlines       jsonb not null,
    lead_unit       text not null,
    answer          text not null,
    solved          text not null,
    satisfaction    smallint not null check (satisfaction between 0 and 5),
    callback_tries  smallint not null,
    outcome         text not null,
    accepted_at     timestamptz not null,
    dispatched_at   timestamptz,
    signed_at       timestamptz,
    replied_at      timestamptz,
    closed_at       timestamptz,
    sign_due_at     timestamptz,
    resolve_due_at  timestamptz,
    next_due_at     timestamptz,
    check ((state in ('closed', 'direct_closed')) = (closed_at is not null)),
    check ((closed_at is null) = (next_due_at is not null)),
    check ((state = 'pending_dispatch') <= (lead_unit = ''))
);

create index work_order_desk on work_order (state, next_due_at, id) where closed_at is null;
create index work_order_due on work_order (next_due_at, id) where closed_at is null;
create index work_order_open_resolve on work_order (resolve_due_at) where replied_at is null and resolve_due_at is not null;
create index work_order_replied on work_order (replied_at) where replied_at is not null and resolve_due_at is not null;
create index work_order_closed on work_order (closed_at) where closed_at is not null;
create index work_order_person on work_order (person_id, id) where person_id <> 0;
create index work_order_agent on work_order (agent_id, id);
create index work_order_category on work_order (category_code, id);
create index work_order_area on work_order (area_code, id);
create index work_order_lead on work_order (lead_unit, id) where lead_unit <> '';

-- The truth.
create table order_event (
    work_order_id bigint not null references work_order,
    seq           integer not null,
    kind          text not null,
    at            timestamptz not null,
    actor         bigint not null, -- zero: the system
    unit_code     text not null,
    audience      text not null check (audience in ('center', 'units', 'citizen')),
    data          jsonb not null,
    primary key (work_order_id, seq)
);

create table assignment (
    work_order_id bigint not null references work_order,
    id            integer not null, -- 1, 2, … within the order
    unit_code     text not null,
    role          text not null check (role in ('lead', 'co')),
    reason        jsonb not null,
    sent_at       timestamptz not null,
    signed_at     timestamptz,
    ended_at      timestamptz,
    primary key (work_order_id, id)
);

create unique index one_open_lead on assignment (work_order_id) where role = 'lead' and ended_at is null;
create index assignment_open on assignment (unit_code, work_order_id) where ended_at is null;
create index assignment_unit on assignment (unit_code, work_order_id);

create table clock (
    work_order_id    bigint not null references work_order,
    seq              integer not null, -- 1, 2, … within the order
    kind             text not null check (kind in ('dispatch', 'sign', 'contact', 'resolve', 'callback')),
    policy           text not null,
    amount           integer not null,
    unit             text not null check (unit in ('workday', 'hour', 'minute')),
    calendar_version integer not null,
    started_at       timestamptz not null,
    due_at           timestamptz not null,
    warn_at          timestamptz not null,
    provisional      boolean not null,
    stopped_at       timestamptz,
    outcome          text not null check (outcome in ('', 'met', 'breached', 'cancelled')),
    primary key (work_order_id, seq),
    check ((stopped_at is null) = (outcome = ''))
);

create unique index one_running_clock on clock (work_order_id, kind) where stopped_at is null;
create index clock_open on clock (warn_at) where stopped_at is null;
create index clock_provisional on clock (work_order_id) where stopped_at is null and provisional;

create table order_call (
    work_order_id bigint not null references work_order,
    call_id       text not null,
    role          text not null check (role = 'origin'),
    primary key (work_order_id, call_id, role)
);

create index order_call_call on order_call (call_id);

-- What an agent has typed and not yet submitted. The form holds the caller's
-- name and number as typed, so it is read by its account only.
create table draft (
    account_id bigint not null,
    id         uuid not null,
    call_id    text not null,
    form       jsonb not null,
    updated_at timestamptz not null,
    primary key (account_id, id)
);

-- For reports, which read and never write.
create view v_order_figures as
select id as order_id, source, demand_type, category_code, area_code, lead_unit,
       accepted_at, dispatched_at, signed_at, replied_at, closed_at, state,
       state = 'direct_closed' as direct, resolve_due_at, sign_due_at, satisfaction, outcome, agent_id
from work_order;
