-- The CRM's tables, as DATA.md has them. `principle` is the source's spelling; "user" is a reserved word.
create table "user" (
    id integer primary key,
    created_on date,
    first_name varchar,
    last_name varchar,
    birth_date date,
    personal_code varchar
);
create table loan (
    id integer primary key,
    client_id integer,
    amount double precision,
    created_on date,
    duration bigint,
    matured_on date,
    status varchar,
    updated_on date
);
create table payment (
    id integer primary key,
    loan_id bigint,
    amount double precision,
    principle double precision,
    interest double precision,
    status varchar,
    created_on date
);
