-- Owner: hotline/city. Reference data an administrator may change: one JSON
-- document per kind and version, and which set of them is in force.
-- +goose Up
create table city_dataset (
    kind      text        not null check (kind in ('units', 'areas', 'categories', 'sources', 'lines', 'catalogue', 'limits', 'calendar')),
    version   int         not null check (version > 0),
    hash      text        not null, -- SHA-256 of the document as published, hex
    source    text        not null, -- where it came from: a file, a person, a notice
    loaded_at timestamptz not null,
    data      jsonb       not null,
    primary key (kind, version)
);

create table city_version (
    version  int         primary key check (version > 0),
    name     text        not null, -- of the city
    datasets jsonb       not null, -- kind → dataset version
    at       timestamptz not null,
    source   text        not null
);
