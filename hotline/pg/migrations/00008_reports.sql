-- owner: reports (report_issue, the v_ views below and one index it reads by)
-- +goose Up
-- A document as it was issued: figures and text are frozen. While final is
-- false its day was not over and it may be made again.
create table report_issue (
    id        bigint      generated always as identity primary key,
    kind      text        not null check (kind in ('daily')),
    day       date        not null, -- Asia/Shanghai
    made_at   timestamptz not null,
    final     boolean     not null,
    as_of_pos bigint      not null, -- stream position the figures were read at
    figures   jsonb       not null,
    html      text        not null,
    unique (kind, day)
);

-- What reports read beyond v_order_figures and v_call_figures.
create view v_order_titles as select id as order_id, title from work_order;
create view v_stream_head as select coalesce(max(pos), 0) as pos from stream;

-- Orders by the day their handling limit ends, answered or not.
create index work_order_resolve_due on work_order (resolve_due_at) where resolve_due_at is not null;
