-- owner: hotline/workorder

-- +goose Up
-- Which order a draft became: a submission sent again after its answer was
-- lost, even to a program that was killed, must not open a second order.
create table submitted_draft (
    account_id    bigint not null,
    draft_id      uuid   not null,
    work_order_id bigint not null references work_order (id),
    primary key (account_id, draft_id)
);
