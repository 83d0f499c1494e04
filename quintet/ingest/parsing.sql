-- Macros that parse text into values. The contracts check rows with them and the staging models cast with them, so a
-- row that passes its contract never turns into a null later. Each macro returns null for text that it cannot read.
-- Every connection runs with TimeZone = 'UTC'.
create schema if not exists contract;

-- What programs write for a missing value. An optional number or time may be one of these.
create or replace macro contract.is_missing(text) as
    lower(trim(text)) in ('na', 'n/a', 'n.a.', '#n/a', '<na>', 'nan', 'nat', 'null', 'none', '-');

-- 2.02400E+11 and 2,024E+11: a spreadsheet shows a long number so, and writes only the digits that it shows.
create or replace macro contract.is_shortened(text) as
    regexp_full_match(text, '\s*[+-]?\d+([.,]\d*)?[eE]\+?\d+\s*');

-- 1E05 may be a code; with its plus sign it is what a spreadsheet made of one.
create or replace macro contract.is_shortened_id(text) as contains(text, '+') and contract.is_shortened(text);

create or replace macro contract.is_identifier(text) as
    trim(text) != ''
    and not regexp_matches(text, '[\x00-\x1f\x7f]')
    and not contract.is_shortened_id(text);

-- 5, -5 and 5.0 are integers; 5.7, 5e3, 0x10, 1,000 and 1_000 are not.
create or replace macro contract.as_integer(text) as
    case
        when not contains(text, '_') and not contains(text, 'e') and not contains(text, 'E')
            and try_cast(text as double) = try_cast(text as bigint)
            -- as doubles, 99999999999999.9999 is a whole number
            and (not contains(text, '.') or regexp_full_match(text, '\s*[+-]?\d+\.0*\s*'))
        then try_cast(text as bigint)
    end;

create or replace macro contract.as_number(text) as
    case when not contains(text, '_') and isfinite(try_cast(text as double)) then try_cast(text as double) end;

-- Money has four decimals, rounded once, half away from zero, from the text itself: as a double, 0.44445 is below the
-- half.
create or replace macro contract.as_money(text) as
    case when contract.as_number(text) is not null then try_cast(text as decimal(18, 4)) end;

-- 1000.00245 loses a digit as money; -1.14e-13 is what is left of a sum of floats, and loses nothing.
create or replace macro contract.is_rounded(text) as
    abs(try_cast(text as decimal(38, 18)) - contract.as_money(text)) > 0.000000001;

-- TRUE, True, true, t, 1 and yes; their opposites alike.
create or replace macro contract.as_boolean(text) as try_cast(trim(text) as boolean);

-- ISO dates and times, hours with or without the leading zero, microseconds, an offset converted to UTC; text without an
-- offset is UTC. 30 February is null. The format is checked first, because a cast alone silently drops what it does
-- not know: "PM", the name of a zone, seconds of an offset. Plain times come first, because converting an offset to
-- UTC costs ten times as much.
create or replace macro contract.as_timestamp(text) as
    case
        when regexp_full_match(
            text, '\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d+)?)?(Z| ?UTC)?)?\s*'
        )
        then case when year(try_cast(text as timestamp)) between 1900 and 2199 then try_cast(text as timestamp) end
        when regexp_full_match(
            text,
            '\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d+)?)?[+-](0\d|1[0-5])(:?[0-5]\d)?\s*'
        )
        then
            case
                when year(try_cast(try_cast(text as timestamptz) as timestamp)) between 1900 and 2199
                then try_cast(try_cast(text as timestamptz) as timestamp)
            end
    end;

-- Workbooks write a day as its midnight.
create or replace macro contract.as_date(text) as
    case
        when regexp_full_match(text, '\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]00:00(:00(\.0+)?)?)?\s*')
            and year(try_cast(text as date)) between 1900 and 2199
        then try_cast(text as date)
    end;

-- "15h 07", "15:07" and "15:07:00" are minute 907 of the day; "24h 61" is null.
create or replace macro contract.as_minute_of_day(text) as
    case
        when try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})(:00(\.0+)?)?\s*$', 1) as integer) < 24
            and try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})(:00(\.0+)?)?\s*$', 2) as integer) < 60
        then try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})(:00(\.0+)?)?\s*$', 1) as integer) * 60
            + try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*[h:]\s*(\d{1,2})(:00(\.0+)?)?\s*$', 2) as integer)
    end;

-- "08h", "8" and "08:00:00" are hour 8; "24h" is null.
create or replace macro contract.as_hour(text) as
    case
        when try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*(h|:00(:00(\.0+)?)?)?\s*$', 1) as integer) < 24
        then try_cast(regexp_extract(text, '^\s*(\d{1,2})\s*(h|:00(:00(\.0+)?)?)?\s*$', 1) as integer)
    end;

-- A text without the blanks around it: spaces of any width, tabs, line ends, zero-width and control characters.
create or replace macro contract.as_label(text) as
    coalesce(
        nullif(regexp_replace(text, '^[\s\p{Z}\p{Cc}\p{Cf}]+|[\s\p{Z}\p{Cc}\p{Cf}]+$', '', 'g'), ''), text
    );

-- Text in plain characters: without blanks around it and zero-width characters, full-width characters as plain ones,
-- and each blank inside it as a space.
create or replace macro contract.as_plain(text) as
    coalesce(
        nullif(
            regexp_replace(
                contract.as_label(
                    regexp_replace(
                        translate(
                            text,
                            '！＂＃＄％＆＇（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［＼］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～',
                            '!"#$%&''()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~'
                        ),
                        '\p{Cf}', '', 'g'
                    )
                ),
                '[\s\p{Z}]', ' ', 'g'
            ),
            ''
        ),
        text
    );

-- A code as people mean it: plain, with single spaces inside. Case stays.
create or replace macro contract.as_code(text) as regexp_replace(contract.as_plain(text), ' +', ' ', 'g');

-- A code of a system that writes capitals and a fixed width: "ANNIV   12" keeps its spaces.
create or replace macro contract.as_fixed_code(text) as upper(contract.as_plain(text));

-- Whole seconds since 1970, or a date and time.
create or replace macro contract.as_unix_seconds(text) as
    coalesce(contract.as_integer(text), floor(epoch(contract.as_timestamp(text)))::bigint);
