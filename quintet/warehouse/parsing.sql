-- How text becomes a value, written once: the contracts judge a row with these macros and the staging models cast
-- with them, so a row that passed its contract never turns into a null later. Each macro gives null for text that it
-- cannot read. Every connection runs with TimeZone = 'UTC'.
create schema if not exists contract;

-- 5, -5, 5.0 and 5e3 are integers; 5.7, 0x10 and 1,000 are not.
create or replace macro contract.as_integer(text) as
    case when try_cast(text as double) = try_cast(text as bigint) then try_cast(text as bigint) end;

create or replace macro contract.as_number(text) as
    case when isfinite(try_cast(text as double)) then try_cast(text as double) end;

-- TRUE, True, true, t, 1 and yes; their opposites alike.
create or replace macro contract.as_boolean(text) as try_cast(trim(text) as boolean);

-- ISO dates and times, hours with or without the leading zero, microseconds, an offset turned to UTC; text without an
-- offset is UTC. 30 February is null, and so is "infinity".
-- The offset is looked for first, because turning a zone to UTC costs ten times as much as reading a plain time.
create or replace macro contract.as_timestamp(text) as
    case
        when regexp_matches(text, ':\d\d\S*\s*([Zz]|[+-]\d\d(:?\d\d)?)\s*$')
        then
            case
                when year(try_cast(try_cast(text as timestamptz) as timestamp)) between 1900 and 2199
                then try_cast(try_cast(text as timestamptz) as timestamp)
            end
        when year(try_cast(text as timestamp)) between 1900 and 2199
        then try_cast(text as timestamp)
    end;

create or replace macro contract.as_date(text) as
    case when year(try_cast(text as date)) between 1900 and 2199 then try_cast(text as date) end;

-- "15h 07" and "15:07" are minute 907 of the day; "24h 61" is null.
create or replace macro contract.as_minute_of_day(text) as
    case
        when try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})\s*$', 1) as integer) < 24
            and try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})\s*$', 2) as integer) < 60
        then try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})\s*$', 1) as integer) * 60
            + try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})\s*$', 2) as integer)
    end;

-- "08h" is hour 8; "24h" is null.
create or replace macro contract.as_hour(text) as
    case
        when try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*h?\s*$', 1) as integer) < 24
        then try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*h?\s*$', 1) as integer)
    end;
